"""Recipe files: YAML with `extends` and `--set`, read into a frozen typed object; a mistake names its line."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.errors import UsageError, like_it
from pipeline.section import TAG, Section

T = TypeVar("T", bound=BaseModel)

# Lists whose items are known by one of these are merged item by item.
ITEM_KEYS = ("signal", "name")

_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "int_from_float", "string_type")

# Makes the paths of files that a recipe names absolute: they are relative to a folder.
PlaceFiles = Callable[[dict[str, Any], Path], None]


class Misplaced(ValueError):
    """A mistake that only the whole recipe shows, at a place of its own in it."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


def load_file(
    model: type[T],
    path: str | Path,
    overrides: tuple[str, ...],
    place_files: PlaceFiles,
    shipped: Sequence[Path],
) -> T:
    """Read a file with what it extends and with `key=value` overrides. Raises UsageError naming file and line."""
    path = Path(path)
    data, lines = _read(path, place_files, shipped, seen=())
    recipe = _validated(model, data, lambda error: "; ".join(_describe(error, model, data, path, lines)))
    if not overrides:
        return recipe
    for override in overrides:
        _apply_override(data, override)
    # A file's own paths are absolute by now: what is relative was given on the command line.
    place_files(data, Path.cwd())
    return _validated(model, data, lambda error: "--set: " + "; ".join(_describe(error, model, data, None, {})))


def _validated(model: type[T], data: dict[str, Any], describe: Callable[[ValidationError], str]) -> T:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UsageError(describe(error)) from None


Lines = dict[tuple[str | int, ...], tuple[Path, int]]


def _read(
    path: Path, place_files: PlaceFiles, shipped: Sequence[Path], seen: tuple[Path, ...]
) -> tuple[dict[str, Any], Lines]:
    resolved = path.resolve()
    if resolved in seen:
        raise UsageError(f"{path}: recipes extend each other in a circle")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file: check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: cannot be read: it is no text in UTF-8; it must be a YAML file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; it must be a YAML file") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UsageError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict) or node is None:
        raise UsageError(f"{path}:1: it is a mapping of keys to values, with at least a name")
    lines: Lines = {place: (path, line) for place, line in _node_lines(node, ())}
    place_files(data, path.resolve().parent)
    parent = data.pop("extends", None)
    if parent is None:
        return data, lines
    if "name" not in data:
        raise UsageError(f"{path}:1: name: is required: what extends another recipe needs a name of its own")
    base, base_lines = _read(_parent(path, str(parent), shipped), place_files, shipped, (*seen, resolved))
    try:
        merged = _merge(base, data)
    except Misplaced as error:
        file, line = lines[error.place]
        raise UsageError(f"{file}:{line}: {'.'.join(map(str, error.place))}: {error}") from None
    return merged, {**base_lines, **{_place_in(merged, place): where for place, where in lines.items()}}


def _parent(path: Path, named: str, shipped: Sequence[Path]) -> Path:
    """The recipe that another extends: a file beside it, else a shipped one by its name."""
    beside = path.parent / named
    found = beside if beside.is_file() else next((file for file in shipped if file.stem == named), None)
    if found is None:
        names = [file.stem for file in shipped]
        raise UsageError(
            f"{path}: extends {named!r}: no file beside it and no shipped recipe has this name"
            f"{like_it(named, names)}; shipped are: {', '.join(names)}"
        )
    return found


def _place_in(merged: Any, place: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where a key of a recipe stands once it is merged: items of lists are known by name in it, by number there."""
    found: list[str | int] = []
    here = merged
    for part in place:
        if isinstance(here, list) and isinstance(part, str):
            names = [_name_of(item) for item in here]
            if part not in names:
                return place
            part = names.index(part)
        found.append(part)
        inside = (isinstance(here, dict) and part in here) or (isinstance(here, list) and part in range(len(here)))
        here = here[part] if inside else None
    return tuple(found)


def _node_lines(node: yaml.Node, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        names = [str(key.value) for key, _ in node.value]
        for key, value in node.value:
            if names.count(str(key.value)) > 1:
                line = key.start_mark.line + 1
                raise UsageError(f"line {line}: {'.'.join(map(str, (*place, key.value)))} stands twice: keep one")
            yield (*place, str(key.value)), key.start_mark.line + 1
            below = (*place, str(key.value))
            yield from ((inner, line) for inner, line in _node_lines(value, below) if inner != below)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _node_lines(value, (*place, index))


def _merge(base: Any, change: Any, *place: str) -> Any:
    """Mappings merge key by key; a mapping over a list patches its items by their key; anything else replaces.

    A patch that is null takes an item away, and a list puts several of that key in its place.
    """
    if isinstance(base, dict) and isinstance(change, dict):
        return {
            key: _merge(base[key], change[key], *place, key)
            if key in base and key in change
            else copy.deepcopy(change.get(key, base.get(key)))
            for key in [*base, *(key for key in change if key not in base)]
        }
    if isinstance(base, list) and isinstance(change, dict):
        merged = []
        key = next((key for item in base if isinstance(item, dict) for key in ITEM_KEYS if key in item), ITEM_KEYS[0])
        names = [_name_of(item) for item in base]
        for name, item in zip(names, base, strict=True):
            patch = change.get(name, {})
            if isinstance(patch, list):
                merged += [{key: name, **each} if isinstance(each, dict) else each for each in patch]
            elif patch is not None:
                merged.append(_merge(item, patch))
        for name, patch in change.items():
            if name in names:
                continue
            if patch is None:
                known = ", ".join(map(str, names))
                raise Misplaced(
                    f"null takes an item away, and there is none of this {key}; there are: {known}", *place, name
                )
            patches = patch if isinstance(patch, list) else [patch]
            merged += [{key: name, **each} if isinstance(each, dict) else each for each in patches]
        return merged
    return copy.deepcopy(change)


def _apply_override(data: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UsageError(f"--set {override!r}: write key=value, as in --set select.rules.japanese_letters.min=300")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"--set {override!r}: the value is not YAML") from None
    parts = key.split(".")
    here: Any = data
    for depth, part in enumerate(parts[:-1]):
        if isinstance(here, dict):
            here = here.setdefault(part, {})
            if here is None:
                raise UsageError(f"--set {override!r}: {'.'.join(parts[: depth + 1])} is null in the recipe")
        elif isinstance(here, list):
            here = _item_of(here, part, override)
        else:
            raise UsageError(f"--set {override!r}: {'.'.join(parts[:depth])} has no keys")
    if isinstance(here, dict):
        here[parts[-1]] = value
    else:
        raise UsageError(f"--set {override!r}: {'.'.join(parts[:-1])} is a list: name a rule of it by its signal")


def _item_of(items: list[Any], name: str, override: str) -> dict[str, Any]:
    for item in items:
        if isinstance(item, dict) and _name_of(item) == name:
            return item
    names = ", ".join(str(_name_of(item)) for item in items if isinstance(item, dict))
    raise UsageError(f"--set {override!r}: the recipe has no rule on {name!r}; it has: {names}")


def _name_of(item: Any) -> Any:
    """What an item of a list is known by: a rule by its signal, a step by its name."""
    return next((item[key] for key in ITEM_KEYS if key in item), None) if isinstance(item, dict) else None


def _describe(
    error: ValidationError, model: type[BaseModel], data: dict[str, Any], path: Path | None, lines: Lines
) -> Iterator[str]:
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        place = cause.place if isinstance(cause, Misplaced) else tuple(item["loc"])
        place = tuple(part for part in place if not str(part).startswith(TAG))
        known = place
        while known and known not in lines:
            known = known[:-1]
        file, line = lines.get(known, (path, 1))
        where = f"{file}:{line}: " if file else ""
        yield f"{where}{_spelled(data, place) or 'recipe'}: {_message(item, model, place)}"


def _spelled(data: Any, place: tuple[str | int, ...]) -> str:
    """A place as a recipe may write it: items of lists by their name where they have one."""
    parts = []
    for part in place:
        inside = (isinstance(data, dict) and part in data) or (isinstance(data, list) and part in range(len(data)))
        data = data[part] if inside else None
        parts.append(str(part if isinstance(part, str) else _name_of(data) or part))
    return ".".join(parts)


def _message(item: Any, model: type[BaseModel], place: tuple[str | int, ...]) -> str:
    kind, given, limits = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _allowed_keys(model, place[:-1])
        return f"unknown key{like_it(str(place[-1]), allowed)}; allowed here: {', '.join(allowed)}"
    if kind == "missing":
        return "is required"
    if kind in ("float_parsing", "float_type", "int_parsing", "int_type"):
        return f"{given!r} is no number"
    if kind == "union_tag_invalid":
        tags = str(limits["expected_tags"]).replace(TAG, "").replace("'", "")
        return f"unknown kind {str(limits['tag']).removeprefix(TAG)!r}; allowed: {tags}"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{message}, not {given!r}" if kind in _BOUNDS else message


def _allowed_keys(whole: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    models: list[type[BaseModel]] = [whole]
    for part in place:
        found: list[type[BaseModel]] = [
            section
            for model in models
            if part in model.model_fields
            for section in _sections(model.model_fields[str(part)].annotation)
        ]
        models = list(found) or models
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def _sections(annotation: Any) -> Iterator[type[Section]]:
    """The kinds of sections that a value of this annotation may hold, inside of lists and mappings too."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)
