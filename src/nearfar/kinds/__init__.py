"""The kinds of model that can be trained, one file each, and what their runs share."""
