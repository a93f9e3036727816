"""The documentation site: pages written by hand in ``pages/``, and everything that follows from declarations.

`hooks` joins both when MkDocs builds the site; nothing that is generated is stored beside the sources.
"""
