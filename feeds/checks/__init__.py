"""Checks of figures before they are published: each looks at the rows of a day, beside those of the day before."""
