"""Which other recipes a sweep tries: each resize with each interpolation, and colours and ranges that are mixed up."""

from __future__ import annotations

from typing import Any, Final, get_args

from visiond.modelkit.manifest import InputRecipe, Interpolation, Resize

_TORCH_RATIO: Final = 256 / 224  # torchvision's usual: resize to 256, crop 224
# mean, std by the name that people know them under; one channel's number stands for all.
_RANGES: Final[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "pixels as 0 to 1": ((0.0,), (255.0,)),
    "pixels as -1 to 1": ((127.5,), (127.5,)),
    "pixels as 0 to 255": ((0.0,), (1.0,)),
    "ImageNet's mean and std": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


def sweep_recipes(own: InputRecipe, tensor: tuple[int, int]) -> dict[str, InputRecipe]:
    """Return recipes by what a report calls them, the package's own first; `tensor` is the input's width, height."""
    fields = own.model_dump()
    recipes = {describe(own): own}
    resizes: list[tuple[str, int | None]] = [(resize, None) for resize in get_args(Resize)]
    side = round(min(tensor) * _TORCH_RATIO)
    if side >= max(tensor):
        resizes.append(("shorter_side", side))
    if own.shorter_side is not None:
        resizes.append(("shorter_side", own.shorter_side))
    for resize, shorter_side in resizes:
        for interpolation in get_args(Interpolation):
            changed = {"resize": resize, "shorter_side": shorter_side, "interpolation": interpolation}
            _add(recipes, {**fields, **changed})
    for name, changed in mixed_up(own):
        _add(recipes, {**fields, **changed}, f"{describe(own)}, {name}")
    return recipes


def mixed_up(own: InputRecipe) -> list[tuple[str, dict[str, Any]]]:
    """Return what people confuse beside the resize: name, and the keys of `input` that differ."""
    others: list[tuple[str, dict[str, Any]]] = []
    if own.color != "gray":
        others.append(("colours swapped", {"color": "bgr" if own.color == "rgb" else "rgb"}))
    for name, (mean, std) in _RANGES.items():
        if len(mean) == 1:
            mean, std = mean * own.channels, std * own.channels
        if len(mean) == own.channels and (own.mean, own.std) != (mean, std):
            swapped = own.color == "bgr"
            others.append((name, {"mean": mean[::-1] if swapped else mean, "std": std[::-1] if swapped else std}))
    return others


def describe(recipe: InputRecipe) -> str:
    """Return resize and interpolation in a few words."""
    side = f" {recipe.shorter_side}" if recipe.shorter_side is not None else ""
    return f"{recipe.resize}{side} {recipe.interpolation}"


def _add(recipes: dict[str, InputRecipe], fields: dict[str, Any], name: str | None = None) -> None:
    recipe = InputRecipe.model_validate(fields)
    if recipe not in recipes.values():
        recipes[name or describe(recipe)] = recipe
