"""The two editions in built pages: links from one to the other, and a Chinese frame around a Chinese page."""

from __future__ import annotations

import re
from pathlib import Path

CHINESE = re.compile(r'<html[^>]* lang="zh-Hans"')

_FRAME = (
    ("Skip to content", "跳到正文"),
    ("Toggle site navigation sidebar", "打开或收起全书目录"),
    ("Toggle table of contents sidebar", "打开或收起本页目录"),
    ("Toggle Light / Dark / Auto color theme", "切换浅色、深色或自动"),
    ("Contents", "全书目录"),
    ("Search", "搜索"),
    ("Back to top", "回到顶部"),
    ("Next", "下一页"),
    ("Previous", "上一页"),
    ("Home", "首页"),
    ("On this page", "本页内容"),
    ("Link to this heading", "链接到本节"),
    ("The course", "课程（英文版）"),
    ("Practice", "练习"),
    ("To look things up", "查阅"),
    ("For teachers", "教师用"),
)
"""What the theme and the book's contents say around a page, in English and in Chinese."""

_PLACES = r'(?:(?<=aria-label=")|(?<=placeholder=")|(?<=title=")|(?<=>)){}(?="|\s*<)'
_WORDS = tuple((re.compile(_PLACES.format(re.escape(english))), chinese) for english, chinese in _FRAME)
_OPENS = re.compile(r'(aria-label=")Toggle navigation of ([^"]*")')
_ARTICLE = re.compile(r"<article.*?</article>", re.DOTALL)
_SIDEBAR = re.compile(r'<div class="sidebar-tree">.*?</aside>', re.DOTALL)
_ENGLISH_LINK = re.compile(r'(<a class="reference internal" href="\.\./[^"]*")>')
_OUTPUT = re.compile(r'<div class="cell_output docutils container">(?!\s*<p><em>此处的输出)')


def linked(html: str, page: Path) -> str:
    """Return a notebook's page with a link to the other edition of it, where there is one."""
    chinese = bool(CHINESE.search(html))
    folder = page.parent.parent if chinese else page.parent / "zh"
    if page.name == "index.html" or not (folder / page.name).is_file() or 'class="edition"' in html:
        return html
    where, code, name = ("..", "en", "English") if chinese else ("zh", "zh-Hans", "中文版")
    link = f'<a href="{where}/{page.name}" lang="{code}" hreflang="{code}">{name}</a>'
    return html.replace("</h1>", f'</h1>\n<p class="edition">{link}</p>', 1)


def in_chinese(html: str) -> str:
    """Return a Chinese page whose frame is Chinese too, and whose outputs are marked as English."""
    if not CHINESE.search(html):
        return html
    found = _ARTICLE.search(html)
    if found is None:
        return html
    head, article, tail = html[: found.start()], found[0], html[found.end() :]
    article = article.replace('title="Link to this heading"', 'title="链接到本节"')
    article = _OUTPUT.sub('<div class="cell_output docutils container" lang="en">', article)
    return _framed(head) + article + _framed(tail)


def _framed(html: str) -> str:
    """Return what stands around an article with its words in Chinese, its English links marked."""
    for pattern, chinese in _WORDS:
        html = pattern.sub(chinese, html)
    html = _OPENS.sub(r"\1展开或收起：\2", html)
    html = html.replace("Made with", "主题：")
    return _SIDEBAR.sub(lambda tree: _ENGLISH_LINK.sub(r'\1 lang="en">', tree[0]), html)
