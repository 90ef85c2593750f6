"""orientd finds photos that are shown sideways or upside down and puts them right."""

__version__ = "0.1.0"
