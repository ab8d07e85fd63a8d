"""The map's words in both languages."""

from __future__ import annotations

WORDS = {
    "en": {
        "up": "../",
        "map": "The course",
        "notebook": "notebook and its question",
        "minutes": "minutes",
        "min": "min",
        "memory": "memory",
        "exercises": "exercises",
        "yours": "your progress",
        "cells": "{done} of {total} cells",
        "all cells": "all cells run",
        "notebooks run": "{done} of {total} notebooks run",
        "exercises solved": "{done} of {total} exercises solved",
        "not here": "does not fit here",
        "recorded": "Minutes and memory as recorded on two cores without a GPU.",
        "here": (
            "Minutes are for this machine: measured where `course run` has run a notebook, estimated from "
            "the machine's speed elsewhere."
        ),
        "all fit": "Memory: {memory:.1f} GiB are here; every notebook fits, also two of them at once.",
        "one at a time": (
            "Memory: {memory:.1f} GiB are here, a notebook takes up to {peak:.1f}: every notebook fits, one "
            "at a time. Close a notebook's tab before you open the next; that ends its kernel."
        ),
        "too large": (
            "Memory: {memory:.1f} GiB are here, too little for {numbers}. All others fit, one at a time: "
            "close a notebook's tab before you open the next; that ends its kernel."
        ),
    },
    "zh": {
        "up": "../../",
        "map": "课程地图",
        "notebook": "笔记本与它回答的问题",
        "minutes": "用时",
        "min": "分钟",
        "memory": "内存",
        "exercises": "练习",
        "yours": "你的进度",
        "cells": "{done} / {total} 个单元",
        "all cells": "全部单元已运行",
        "notebooks run": "已运行 {done} / {total} 个笔记本",
        "exercises solved": "已完成 {done} / {total} 道练习",
        "not here": "内存不够",
        "recorded": "用时与内存是在双核、无 GPU 的机器上记录的。",
        "here": "用时按这台机器计算：用 `course run` 运行过的是实测，其余按机器速度估计。",
        "all fit": "内存：本机 {memory:.1f} GiB，每个笔记本都放得下，同时开两个也行。",
        "one at a time": (
            "内存：本机 {memory:.1f} GiB，一个笔记本最多用 {peak:.1f} GiB：都放得下，但一次只开一个。"
            "打开下一个之前先关掉这一个的标签页，它的内核随之结束。"
        ),
        "too large": (
            "内存：本机 {memory:.1f} GiB，对 {numbers} 来说太小。其余都放得下，但一次只开一个："
            "打开下一个之前先关掉这一个的标签页，它的内核随之结束。"
        ),
    },
}
