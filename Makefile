# Every target works as the first command in a fresh clone: it makes what it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint types docs format clean

demo: $(VENV)/.installed
	$(BIN)/nearfar demo

# A file's tests stay on one core: they share what is slow to make.
test: $(VENV)/.installed
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --durations 25

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed
	$(BIN)/pyright

# The site, in site/index.html; a warning is an error. The variable silences a note on the theme's own future.
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Kept in step with the project's dependencies; constraints.txt names the versions that were tested.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) nearfar-demo site
