"""A SavedModel: a folder with saved_model.pb and variables, as Keras's `export` and `tf.saved_model.save` write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from visiond.errors import DataError
from visiond.modelkit.convert.child.graph import Graph, graph_of, picture_shape

_SIGNATURE: Final = "serving_default"


def read_savedmodel(folder: Path, size: tuple[int, int] | None) -> Graph:
    """Load its signature `serving_default`, or the only one; raises DataError in words."""
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{folder} is a damaged SavedModel ({text}); export it again with model.export") from error
    name, signature = _signature(folder, loaded)
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise DataError(
            f"{folder}: its signature {name} takes {', '.join(sorted(inputs)) or 'nothing'}, and visiond feeds one "
            "picture; export it with one input"
        )
    ((argument, spec),) = inputs.items()
    if spec.dtype != tf.float32:
        raise DataError(
            f"{folder} takes {spec.dtype.name}, and a model is converted from float32; export it with a float32 input"
        )
    declared = spec.shape.as_list() if spec.shape.rank is not None else []
    shape = picture_shape(declared, str(folder), size)

    def call(picture: Any) -> dict[str, Any]:
        found: dict[str, Any] = signature(**{argument: picture})
        return found

    return graph_of(call, shape, "SavedModel")


def _signature(folder: Path, loaded: Any) -> tuple[str, Any]:
    known = dict(loaded.signatures)
    if _SIGNATURE in known:
        return _SIGNATURE, known[_SIGNATURE]
    if len(known) == 1:
        return next(iter(known.items()))
    there = f"the signatures {', '.join(sorted(known))}" if known else "no signature"
    raise DataError(f"{folder} has {there}, and none is {_SIGNATURE}; export it with model.export(FOLDER)")
