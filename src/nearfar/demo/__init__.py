"""A complete example on data that every Python contains: search its standard library by what a function does."""
