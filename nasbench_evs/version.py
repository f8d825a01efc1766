"""The version of this library: below everything, so that no module has to import the package for it."""

__version__ = "0.1.0"
