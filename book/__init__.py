"""The book: the course's executed notebooks, exercises and reference as a site that needs no network.

``python -m book`` (or ``make book``) writes ``build/book``. First `assemble` lays out pages for Sphinx below
``build/book-source``, in the repository's own folders, so that links between notebooks and exercises hold;
then `site` lets Sphinx with MyST-NB build them and checks every link. Nothing is executed.
"""
