"""Copies of the kernels that this tree has compiled, for another tree with the same sources."""

import shutil
from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator

from schemas.kernel_cache import PACKAGES, ROOT, kernel_cache
from topics.warm import cache_folder


def copy_kernels(root: Path) -> None:
    """Copy what is compiled to another tree, which then has to compile none of it.

    Numba keeps kernels by the path of their source, and tells by its contents whether they are still right.
    """
    ours, theirs = cache_folder(), Path(kernel_cache("", root))
    if ours is None:  # kernels run as plain Python here
        return
    for source in (one for package in PACKAGES for one in (ROOT / package, *(ROOT / package).rglob("*"))):
        kept = ours / _kept_in(source)
        if source.is_dir() and kept.exists():
            shutil.copytree(kept, theirs / _kept_in(root / source.relative_to(ROOT)), dirs_exist_ok=True)
    for mark in filter(Path.is_file, ours.iterdir()):
        shutil.copy2(mark, theirs / mark.name)


def _kept_in(folder: Path) -> str:
    """The name of the folder for the kernels of a folder of modules."""
    kernel = str(folder / "kernel.py")
    return str(UserProvidedCacheLocator.get_suitable_cache_subpath(kernel))  # type: ignore[no-untyped-call]
