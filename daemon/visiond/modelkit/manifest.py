"""What model.yaml may say: one frozen model per section, the meaning and unit of each key in its description."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator

Task = Literal["classification", "detection", "pose", "segmentation"]
Resize = Literal["stretch", "letterbox", "center_crop", "shorter_side"]
Interpolation = Literal["nearest", "bilinear", "area", "bicubic", "pil_bilinear", "pil_bicubic"]
Color = Literal["rgb", "bgr", "gray"]
DecoderName = Literal["scores", "ssd_postprocess", "ssd_raw", "yolov5", "yolov8", "movenet", "posenet", "deeplab"]
Activation = Literal["none", "softmax", "sigmoid"]
Convention = Literal[
    "opencv_nearest",
    "opencv_bilinear",
    "opencv_area",
    "opencv_bicubic",
    "pillow_nearest",
    "pillow_bilinear",
    "pillow_bicubic",
    "tensorflow_nearest",
    "tensorflow_bilinear",
    "tensorflow_bilinear_antialias",
    "tensorflow_area",
    "tensorflow_bicubic",
    "tensorflow_bicubic_antialias",
    "torchvision_pil_bilinear",
    "torchvision_pil_bicubic",
    "torchvision_nearest",
    "torchvision_bilinear",
    "torchvision_bicubic",
    "torchvision_bilinear_aliased",
    "torchvision_bicubic_aliased",
]


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or pure == PurePosixPath():
        raise ValueError("is outside the package's folder, give a path within it, without .. or a leading /")
    return path


def _in_order(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    ymin, xmin, ymax, xmax = box
    if not (0 <= ymin < ymax <= 1 and 0 <= xmin < xmax <= 1):
        raise ValueError("is no box, give [ymin, xmin, ymax, xmax] as fractions, each minimum below its maximum")
    return box


# Strict: YAML's true and false are no numbers, and 2.5 is no count.
def _not_empty(items: tuple[object, ...]) -> tuple[object, ...]:
    # Not Field(min_length=1): pydantic reports that too where an item is wrong, and hides which one.
    if not items:
        raise ValueError("is empty, give at least one")
    return items


Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Whole = Annotated[int, Strict()]
Side = Annotated[Whole, Field(ge=1, le=8192)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1)]
Inside = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_inside)]


class Section(BaseModel):
    """Base of all sections: an unknown key is an error, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFile(Section):
    """One form of the model."""

    path: Inside = Field(description="The model, relative to the package's folder.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = Field(
        None,
        title="64 hexadecimal digits",
        description="Checksum of the file as 64 hexadecimal digits; checked before the file is used.",
    )


class Files(Section):
    """The same model for different engines. A model compiled for the Edge TPU never runs on the CPU: ship both."""

    cpu: ModelFile | None = Field(None, description="TFLite model for the CPU.")
    edgetpu: ModelFile | None = Field(None, description="The same model after edgetpu_compiler.")
    onnx: ModelFile | None = Field(None, description="The same model for ONNX Runtime.")

    @model_validator(mode="after")
    def _one_at_least(self) -> Files:
        if self.cpu is None and self.edgetpu is None and self.onnx is None:
            raise ValueError("names no model, give cpu: {path: …}")
        return self


class LabelsFile(Section):
    """Where the names of the classes are."""

    path: Inside = Field(description="Text file, one label per line, UTF-8; an empty line or ??? names nothing.")
    offset: Whole = Field(0, ge=-65536, le=65536, description="class id + offset = line, counted from 0.")


class InputRecipe(Section):
    """How a picture becomes the input tensor: as in the training, or accuracy is lost silently."""

    size: tuple[Side, Side] | None = Field(
        None,
        title="[width, height] in pixels",
        description="Width and height in pixels at which a model is served whose file leaves them open; else left out.",
    )
    resize: Resize = Field("stretch", description="How the picture's shape meets the input's; see docs/package.md.")
    interpolation: Interpolation = Field(
        "bilinear",
        description="Of OpenCV, or with pil_ of Pillow, which filters when it shrinks (as torchvision does).",
    )
    shorter_side: Whole | None = Field(
        None,
        gt=0,
        le=8192,
        description="Pixels of the shorter side before the crop of resize: shorter_side; left out, the input's.",
    )
    color: Color = Field("rgb", description="Order of the channels; gray for an input with one channel.")
    mean: tuple[Number, ...] = Field(
        title="a list of one number per channel, in the order of color",
        description="real value = (pixel - mean) / std, one number per channel in the order of color.",
    )
    std: tuple[Positive, ...] = Field(
        title="a list of one number above 0 per channel, in the order of color", description="See mean; greater than 0."
    )
    pad: Whole = Field(114, ge=0, le=255, description="Pixel value of the border of resize: letterbox.")

    @property
    def channels(self) -> int:
        """How many the input tensor must have."""
        return 1 if self.color == "gray" else 3


class Anchors(Section):
    """The boxes that an SSD's encodings are relative to: the anchor generator of the training's pipeline.config."""

    generator: Literal["ssd", "multiscale"] = Field(
        "ssd", description="ssd_anchor_generator, or multiscale_anchor_generator (feature pyramids, EfficientDet)."
    )
    layers: Annotated[Whole, Field(ge=1, le=12)] | None = Field(
        None, description="Number of grids, each of half the cells of the one before; left out, 6, multiscale 5."
    )
    first_stride: Annotated[Whole, Field(ge=1, le=256)] | None = Field(
        None, description="Pixels of the input from cell to cell of the finest grid; left out, 16, multiscale 8."
    )
    aspect_ratios: Annotated[tuple[Positive, ...], AfterValidator(_not_empty)] | None = Field(
        None,
        title="a list of numbers above 0",
        description="Width to height; left out, 1, 2, 0.5, 3, 1/3, multiscale 1, 2, 0.5.",
    )
    min_scale: Positive = Field(0.2, description="Of ssd: side in the finest grid, a fraction.")
    max_scale: Positive = Field(0.95, description="Of ssd: side in the coarsest grid.")
    reduce_lowest: bool = Field(
        True, strict=True, description="Of ssd: reduce_boxes_in_lowest_layer, three boxes in each cell."
    )
    anchor_scale: Positive = Field(4.0, description="Of multiscale: side in strides.")
    scales_per_octave: Whole = Field(2, ge=1, le=16, description="Of multiscale: sizes up to the next grid's.")


class OutputSpec(Section):
    """How to read the output tensors."""

    decoder: DecoderName = Field(description="Kind of output.")
    roles: dict[str, Annotated[Whole, Field(ge=0, le=255)]] | None = Field(
        None, description="Role → position among the outputs, from 0; left out, resolved by name, shape and value."
    )
    activation: Activation = Field("none", description="What the scores still need: softmax or sigmoid for logits.")
    iou_threshold: Fraction = Field(
        0.45,
        description="Of two boxes of a class that overlap more (0 to 1), the lower goes; not for ssd_postprocess.",
    )
    anchors: Anchors = Field(default_factory=lambda: Anchors.model_validate({}), description="Of ssd_raw.")
    box_scales: tuple[Positive, Positive, Positive, Positive] = Field(
        (10.0, 10.0, 5.0, 5.0),
        title="[y, x, height, width], numbers above 0",
        description="Of ssd_raw: what a box's encoding is divided by: y, x, height, width.",
    )
    background: bool = Field(
        True, strict=True, description="Of ssd_raw and deeplab: whether class 0 stands for nothing, and is left out."
    )
    keypoints: Annotated[tuple[str, ...], AfterValidator(_not_empty)] | None = Field(
        None,
        title="a list of names",
        description="Of movenet and posenet: names in the model's order; left out, COCO's 17.",
    )


class Expectation(Section):
    """Something that a golden example's picture must give."""

    label: str = Field(min_length=1, description="Label of the class.")
    min_score: Fraction = Field(0.0, description="Least score, 0 to 1; of segmentation, which has none, left out.")
    box: Annotated[tuple[Number, Number, Number, Number], AfterValidator(_in_order)] | None = Field(
        None,
        title="[ymin, xmin, ymax, xmax] as fractions",
        description="ymin, xmin, ymax, xmax as fractions of the picture, TFLite's own order; not of classification.",
    )
    mask: Inside | None = Field(
        None, description="Picture that is black where the class is not, relative to the folder; segmentation only."
    )
    iou: Fraction = Field(0.5, description="Least overlap with box or mask, as intersection over union, 0 to 1.")
    keypoints: dict[str, tuple[Number, Number]] | None = Field(
        None, title="{name: [y, x]}", description="Name → y, x as fractions of the picture; pose only."
    )
    within: Fraction = Field(0.05, description="How far each keypoint may be off, in y and in x, as a fraction.")


class GoldenExample(Section):
    """A picture and what the model must find in it, tried each time the engine starts."""

    image: Inside = Field(description="Picture, relative to the package's folder.")
    expect: Annotated[tuple[Expectation, ...], AfterValidator(_not_empty)] = Field(
        title="a list of {label: …, min_score: …}", description="All of it must be found."
    )


class Tolerances(Section):
    """What `visiond models verify` takes for equal; what is left out is reported and breaks nothing."""

    convention: Convention | None = Field(
        None, description="How pictures were prepared in training; the recipe must come to the same input tensors."
    )
    max_input_quanta: NotNegative | None = Field(
        None, description="Largest difference from the convention, in quanta of the input; left out, 1."
    )
    mean_input_quanta: NotNegative | None = Field(
        None, description="Mean difference from the convention, in quanta of the input."
    )
    max_quanta: NotNegative | None = Field(
        None, description="Largest difference of any output value from the reference, in quanta of that output."
    )
    mean_quanta: NotNegative | None = Field(
        None, description="Mean difference of an output from the reference, in quanta of that output."
    )
    min_cosine: Fraction | None = Field(None, description="Least cosine of an output and the reference's, 0 to 1.")
    min_top1_agreement: Fraction | None = Field(
        None, description="Of classification: share of pictures with the reference's first class, 0 to 1."
    )
    min_iou: Fraction | None = Field(
        None, description="Least overlap of a clear box or mask with the reference's of that class, 0 to 1."
    )
    max_score_gap: Fraction | None = Field(
        None, description="Largest difference of a clear object's or the first class's score from the reference's."
    )
    max_keypoint_gap: Fraction | None = Field(
        None, description="Of pose: largest distance of a keypoint from the reference's, a fraction of the picture."
    )
    min_accuracy: Fraction | None = Field(
        None, description="Least top-1 accuracy, or mAP@0.5:0.95 of detection, over a --dataset, 0 to 1."
    )
    max_accuracy_loss: Fraction | None = Field(
        None, description="How far that may be below the reference's, 0 to 1: 0.005 is half a point."
    )


class Manifest(Section):
    """A whole model.yaml."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        title="at most 64 letters, digits, dots, dashes and underscores",
        description="Name of the package.",
    )
    task: Task = Field(description="What the model does.")
    files: Files = Field(description="The model's files.")
    labels: LabelsFile | None = Field(None, description="Names of the classes; left out, objects have a class id only.")
    input: InputRecipe = Field(description="How a picture becomes the input tensor.")
    output: OutputSpec = Field(description="How the output tensors are read.")
    golden: tuple[GoldenExample, ...] = Field((), description="Examples that the model must reproduce.")
    tolerances: Tolerances | None = Field(None, description="What `visiond models verify` must find.")
    license: str | None = Field(None, description="Licence of the model, as an SPDX identifier.")
    source: str | None = Field(None, description="Where the model comes from.")
