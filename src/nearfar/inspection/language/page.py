"""The page of a language model's inspection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nearfar.inspection.language.drafting import DRAFT_COST, TOKENS_ONLY
from nearfar.inspection.language.summary import kernel_owner, measure_rows, verdict
from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page

if TYPE_CHECKING:
    from nearfar.inspection.language.result import LanguageInspection

#: Eigenvalues below this share of the largest are not drawn.
_DRAWN = 1e-9

_OWN = (
    "The kernel is made of the model's own output: for each pair of contexts, how much their next-token distributions "
    "overlap (Bhattacharyya coefficient). It shows in which layer the output takes shape. It is no evidence that the "
    "model is right, and the last state is not shown, because the output is computed from it and agrees with it by "
    "construction. For a reference that does not depend on the model, pass a teacher with --against."
)
_TEACHER = (
    "The kernel is made of the output of a teacher, {of}, which does not depend on the inspected model: for each pair "
    "of contexts, how much its next-token distributions overlap (Bhattacharyya coefficient). Contexts are those at "
    "whose end tokens of both models end. The last layer shown is the input of the head."
)
_SCORES = (
    "A_{r} is the overlap of the first {r} principal directions of the states with the first {r} directions of the "
    'kernel, R_{r} the share of the kernel\'s energy in them, and CKA compares all directions. The lines "at random" '
    "are the lowest and the highest of {n} assignments of the states to contexts at random. Layer 0 is the embedding, "
    "which knows only the current token: what is above it comes from context. CKA can be low where a few very large "
    "directions, which many models have in some layers, have nearly all of the variance."
)


def language_page(found: LanguageInspection, facts: Sequence[tuple[str, object]] = ()) -> Page:
    """The report of `inspect_language`.

    Args:
        found: The inspection.
        facts: Further entries for the head of the page.
    """
    pieces, documents = found.pieces
    read = f"{found.tokens:,} in {pieces:,} pieces of {documents:,} of {found.documents:,} documents"
    teacher = [] if found.kernel is None or found.kernel.of is None else [("teacher", found.kernel.of)]
    page = Page(
        "Language model",
        found.model,
        [("model", found.model), *teacher, ("tokens", read), ("seed", found.seed), *facts],
    )
    page.verdict(verdict(found))
    for note in found.notes:
        page.text(f"{note[:1].upper()}{note[1:]}.")
    page.section("Measures")
    page.table(["measure", "value", "meaning"], measure_rows(found))
    _laws(page, found)
    _layers(page, found)
    _metric(page, found)
    _drafting(page, found)
    page.data("inspection", found.as_dict())
    return page


def _laws(page: Page, found: LanguageInspection) -> None:
    page.section(
        "Is the model as certain as it is right?",
        "Tokens in ten groups, by the entropy of the model's next-token distribution. If it were right, the NLL of a "
        "group would equal its mean entropy. Above the line the model is over-confident.",
    )
    ends = [found.calibration[0][0], found.calibration[-1][0]]
    page.figure(
        line_chart(
            {"model": found.calibration, "NLL = entropy": [(x, x) for x in sorted(set(ends))]},
            title="NLL by entropy",
            x_label="mean entropy in nats",
            y_label="NLL in nats",
        )
    )


def _layers(page: Page, found: LanguageInspection) -> None:
    kernel = found.kernel
    if kernel is None or not found.layers:
        return
    page.section("Which layers know what comes next?", _OWN if kernel.of is None else _TEACHER.format(of=kernel.of))
    page.text(_SCORES.format(r=kernel.r, n=kernel.permutations))
    titles = {"alignment": f"Alignment A_{kernel.r}", "captured": f"Captured energy R_{kernel.r}", "cka": "CKA"}
    for name, title in titles.items():
        lines = {
            "states": [(float(each.layer), getattr(each.found, name)) for each in found.layers],
            "at random, highest": [(float(each.layer), getattr(each.high, name)) for each in found.layers],
            "at random, lowest": [(float(each.layer), getattr(each.low, name)) for each in found.layers],
        }
        page.figure(line_chart(lines, title=f"{title}, with {kernel_owner(found)}", x_label="layer", y_label=title))
    drawn = [value for value in kernel.eigenvalues if value > _DRAWN * kernel.eigenvalues[0]]
    page.figure(
        line_chart(
            {"eigenvalue": [(float(number), value) for number, value in enumerate(drawn, 1)]},
            title="Spectrum of the kernel",
            x_label="direction",
            y_label="eigenvalue",
            caption=f"Of the centred operator, {kernel.contexts:,} contexts: in how many directions the "
            "next-token distributions differ. Without centring the first is "
            f"{kernel.uncentred:.3f}: what all have in common.",
            log_y=True,
        )
    )


def _metric(page: Page, found: LanguageInspection) -> None:
    drawn = [value for value in found.eigenvalues if value > _DRAWN * found.eigenvalues[0]]
    page.section(
        "Which directions of the last state change the output?",
        "Eigenvalues of the mean Fisher-Rao metric. A small step e in a direction changes the next-token "
        "distribution by a KL divergence "
        "of half the eigenvalue times e squared, on average. They are spread over about "
        f"{found.metric['effective_rank']:.0f} of {found.width} directions: noise in the others hardly changes what "
        "the model says.",
    )
    page.figure(
        line_chart(
            {"eigenvalue": [(float(number), value) for number, value in enumerate(drawn, 1)]},
            title="Spectrum of the metric",
            x_label="direction",
            y_label="eigenvalue",
            log_y=True,
        )
    )


def _drafting(page: Page, found: LanguageInspection) -> None:
    drafting = found.drafting
    if drafting is None:
        return
    page.section(
        "What could a drafter of several tokens use?",
        "The surplus is what a state knows about a token after the next one, beyond the tokens between, as a small "
        "probe can read it: a lower bound, on held-out documents, and negative where a probe over-fits. The bound is "
        "what the whole context knows. Targets are the model's own distributions, since a drafter is accepted where it "
        "agrees with the model. A last state need not carry what the context knows, because later steps can attend to "
        "it again.",
    )
    names = [name for name in drafting.offsets[0].acceptance if name != TOKENS_ONLY]
    surplus = {name: [(float(each.offset), each.surplus[name]) for each in drafting.offsets] for name in names}
    accepted = {
        name: [(float(each.offset), each.acceptance[name]) for each in drafting.offsets]
        for name in (TOKENS_ONLY, *names)
    }
    label = "drafted token"
    bounds = ", ".join(f"{each.most:.2f}" for each in drafting.offsets)
    page.figure(
        line_chart(
            surplus,
            title="Surplus by drafted token",
            x_label=label,
            y_label="nats",
            caption=f"The bound is {bounds} nats.",
        )
    )
    page.figure(
        line_chart(accepted, title="Acceptance by drafted token", x_label=label, y_label="share of drafts accepted")
    )
    page.table(
        [
            "drafter reads",
            *(f"accepted, token {each.offset}" for each in drafting.offsets),
            "tokens per verification",
            "speed-up",
        ],
        [
            [name, *(each.acceptance[name] for each in drafting.offsets), value, drafting.speed_up[name]]
            for name, value in drafting.tokens.items()
        ],
        caption=f"Tokens per verification: the accepted drafts and one token of the model, if acceptances are "
        f"independent. The speed-up is that of a drafter whose token takes {DRAFT_COST:.0%} of the model's; below 1, "
        "drafting does not pay. The probe is small and has read little text "
        f"({drafting.held_out:,} held-out positions), so a trained drafter gains more. It can propose "
        f"{drafting.shortlist:,} tokens, which have {drafting.covered:.0%} of the model's probability.",
    )
