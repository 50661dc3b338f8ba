"""The site of the pages in docs/: `make docs` builds it, and takes a warning for an error."""

project = "Tidemark"
author = "the Tidemark developers"
copyright = author  # noqa: A001 - what Sphinx calls it
extensions = ["myst_nb"]
source_suffix = {".md": "myst-nb", ".py": "myst-nb"}
exclude_patterns = ["conf.py"]
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300  # s for a cell: kernels may have to be compiled
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "Tidemark"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
nitpicky = True
html_static_path = ["_static"]
html_css_files = ["site.css"]
smartquotes = False  # `--flag` is two hyphens
suppress_warnings = ["misc.highlighting_failure"]  # a file within a console block is no console to the lexer
