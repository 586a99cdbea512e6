"""One module per kind of component: the abstract class whose docstrings are its contract."""
