"""The main job on data that every Python has: searching its standard library by what its functions do."""
