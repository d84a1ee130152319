"""Messages that runtimes and libedgetpu are known to give, as their users have published them, in our words."""

from __future__ import annotations

import pytest

from visiond.edgetpu.crash_memory import FITTING_PAIRS
from visiond.engine.edgetpu import DelegateFailed
from visiond.engine.runtimes.tflite_words import delegate_error, model_error
from visiond.errors import ModelError

LIBRARY = "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(13)"


def delegate_words(raw: str, kind: type[Exception] = DelegateFailed) -> str:
    error = delegate_error("detect.tflite", "LiteRT 2.3.0", LIBRARY, raw)
    assert type(error) is kind
    assert "\n" not in str(error)
    return str(error)


def test_a_model_for_a_newer_libedgetpu() -> None:
    text = delegate_words(
        "Failed precondition: Package requires runtime version (14), which is newer than this runtime version (13)."
        "Node number 185 (EdgeTpuDelegateForCustomOp) failed to prepare."
    )
    assert text == (
        "detect.tflite needs runtime version 14 of libedgetpu, and the installed one has 13; "
        "update libedgetpu, or compile the model with edgetpu_compiler --min_runtime_version 13"
    )


@pytest.mark.parametrize("operator", ["EdgeTpuDelegateForCustomOp", "edgetpu-custom-op"])
def test_fault_20_a_runtime_and_a_library_that_do_not_fit(operator: str) -> None:
    text = delegate_words(
        f"Internal: Unsupported data type in custom op handler: 6488064Encountered unresolved custom op: {operator}.\n"
        "See instructions: https://www.tensorflow.org/lite/guide/ops_custom "
        f"Node number 2 ({operator}) failed to prepare."
    )
    assert text.startswith(
        f"LiteRT 2.3.0 with {LIBRARY} does not take detect.tflite "
        "(Internal: Unsupported data type in custom op handler: 6488064): they are probably not made for each other"
    )
    assert text.endswith(f"; install a pair that is: {FITTING_PAIRS}")


def test_corals_operator_for_poses_is_explained() -> None:
    raw = "Encountered unresolved custom op: PosenetDecoderOp.\nSee instructions: https://x Node number 30 failed."
    for error in (model_error("pose.tflite", raw), delegate_error("pose.tflite", "LiteRT 2.3.0", LIBRARY, raw)):
        assert type(error) is ModelError
        assert str(error) == (
            "pose.tflite decodes poses with Coral's operator 'PosenetDecoderOp', which no runtime has without Coral's "
            "own plugin; give the package the model without it, whose outputs are the raw heads, and output.decoder: "
            "posenet"
        )


def test_what_libedgetpu_says_when_it_cannot_prepare_a_model() -> None:
    text = delegate_words("no on-chip memory leftNode number 1 (EdgeTpuDelegateForCustomOp) failed to prepare.")
    assert text == (
        f"LiteRT 2.3.0 with {LIBRARY} cannot make detect.tflite ready (no on-chip memory left); "
        "unplug the stick, plug it in, and try again"
    )


def test_a_library_that_gives_no_reason() -> None:
    error = delegate_error("detect.tflite", "LiteRT 2.3.0", None, "Node number 1 (DELEGATE) failed to prepare.")
    assert str(error).startswith(
        "LiteRT 2.3.0 with the delegate library cannot make detect.tflite ready (it gave no reason); unplug"
    )


def test_operators_that_no_delegate_can_help() -> None:
    custom = (
        "Encountered unresolved custom op: MyFancyOp.\nSee instructions: … Node number 3 (MyFancyOp) failed to prepare."
    )
    assert "needs the custom operator 'MyFancyOp'" in delegate_words(custom, ModelError)
    flex = (
        "Select TensorFlow op(s), included in the given model, is(are) not supported. Node number 1 (FlexErf) failed."
    )
    assert "needs TensorFlow's own operator 'Erf'" in delegate_words(flex, ModelError)


def test_any_other_message_is_passed_on_in_one_line() -> None:
    text = str(model_error("detect.tflite", "Something\n  new\thappened."))
    assert text.endswith(" (the runtime: Something new happened.); copy or convert it again")
