"""Data as somebody has them: folders of pictures and tables of sentences."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(folder: Path, x: np.ndarray, y: np.ndarray, names: tuple[str, ...]) -> Path:
    """Write each picture into the folder of its class."""
    for k, (picture, label) in enumerate(zip(x, y, strict=True)):
        path = folder / names[label] / f"{k:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        flat = picture[..., 0] if picture.shape[-1] == 1 else picture
        Image.fromarray(np.ascontiguousarray(flat)).resize((48, 48)).save(path)
    return folder


def write_table(path: Path, texts, labels, names=("text", "label")) -> Path:
    """Write a CSV of two columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(zip(texts, labels, strict=True))
    return path
