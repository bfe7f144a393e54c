"""Model folders by their name: found here or on the Hugging Face Hub, and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.extras import require
from tawasul_nlp.model.folder import BUNDLED, CARD, CONFIG, MAX_BYTES, read_config


def find_model(name: str | Path | None) -> Path:
    """Return the folder of a model: the bundled one, a folder of this name, or one fetched from the Hub.

    Raises ModelFormatError if there is none.
    """
    if name is None:
        return BUNDLED
    if Path(name).is_dir():
        return Path(name)
    if isinstance(name, str) and name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _from_hub(name)
    raise ModelFormatError(f"no model folder {str(name)!r}; pass an existing folder, 'org/name' on the Hub, or None")


def _from_hub(name: str) -> Path:
    require("hub", "fetching a model from the Hub", "huggingface_hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(MAX_BYTES)))
    except Exception as error:  # the Hub client raises many classes; all mean the same to the caller
        raise ModelFormatError(
            f"{name!r} is no folder here and could not be fetched from the Hub ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no detail'}); check the name and the connection, "
            "or pass a local model folder"
        ) from error


def copy_model(source: Path, target: Path) -> Path:
    """Copy the files of a model folder, and its card if it has one, into a folder of their own; return this.

    Raises FileExistsError if there are files in it already.
    """
    check_new_folder(target)
    config = read_config(source)
    target.mkdir(parents=True, exist_ok=True)
    for name in (*config.files, *([CARD] if (source / CARD).is_file() else [])):
        shutil.copyfile(source / name, target / name)
    shutil.copyfile(source / CONFIG, target / CONFIG)  # last: a folder without it is not a model
    return target


def check_new_folder(folder: Path) -> None:
    """Raise FileExistsError if a model cannot be written to a folder, because there are files in it already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not empty; name a new folder for the model")
