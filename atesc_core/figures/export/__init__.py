"""Figures as files for a paper: PDF, SVG and PNG with their fonts, data, and the recipe to draw them again."""
