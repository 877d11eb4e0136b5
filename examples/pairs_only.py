"""InfoNCE on pairs alone, without their negatives: shows what mined negatives are worth.

nearfar mine pairs.jsonl --corpus documents.jsonl --relative-margin 0.05 --out mined.jsonl
nearfar compare infonce examples/pairs_only.py --data mined.jsonl --eval held-out.jsonl --out runs/mined
"""

from nearfar.recipes import Recipe, infonce


def prepare(model, rows, options):
    """The plan of infonce for the columns anchor and positive."""
    return infonce.prepare(model, rows.select_columns(["anchor", "positive"]), options)


RECIPE = Recipe("pairs_only", {"rows": ("pairs",)}, infonce.Options, prepare)
