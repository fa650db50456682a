"""Do 06 and 07 find what was planted in the synthetic persons, and nothing else? The last part of `make effects`.

Reads the tables of the profile `effects`: 60 synthetic persons, of whom 42 are new to the network. Planted are more
arousals with age and with OSA; with sex nothing is. Prints a line a promise and exits with 1 where one is broken.
"""

import sys
from pathlib import Path

import pandas as pd
from scipy.stats import mannwhitneyu, spearmanr

from anysleep.analysis.arousals.tables import headline_score

RUNS = Path(__file__).parents[2] / "outputs" / "effects"

F1_LOWEST = 0.65
"""Arousals at the headline's resolution: one-to-one, IoU > 0.2, mean over recordings."""
MF1_GAIN = 0.1
"""OSA: the fine resolution over one prediction an epoch."""
FINE = 16
"""Predictions per epoch that count as fine for OSA; chosen beforehand, one of those that are tested."""
ALPHA = 0.05


def main() -> int:
    """Judge every promise; 0 if all are kept."""
    promises = [*judge_arousals(), *judge_arousal_index(), *judge_osa(), *judge_sex(), *judge_age()]
    for kept, sentence in promises:
        print(f"{'kept' if kept else 'BROKEN':<7} {sentence}")
    return 0 if all(kept for kept, _ in promises) else 1


def table(run: str, name: str) -> pd.DataFrame:
    """A table of one run of this profile."""
    return pd.read_csv(RUNS / run / f"{name}.csv")


def headline_f1(run: str) -> pd.Series:
    """The F1 that 06 reports, at a resolution that is fixed beforehand."""
    return headline_score(table(run, "scores"))


def judge_arousals() -> list[tuple[bool, str]]:
    """The trained network finds the planted arousals; one that has learned nothing is said beside it."""
    ours, untrained = headline_f1("06_arousals"), headline_f1("06_arousals.untrained")
    found = f"arousal F1 {ours.estimate:.3f} [{ours.low:.3f}, {ours.high:.3f}] at {ours.predictions_per_epoch} an epoch"
    return [
        (ours.estimate >= F1_LOWEST, f"{found}, {ours.n_persons} persons (target {F1_LOWEST})"),
        (ours.low > untrained.high, f"an untrained network has {untrained.estimate:.3f} there"),
    ]


def judge_arousal_index() -> list[tuple[bool, str]]:
    """Predicted arousals per hour rise with OSA and with age, as planted."""
    persons = pd.read_csv(RUNS / "cohort" / "participants.tsv", sep="\t").set_index("subject")
    index = table("06_arousals", "index")
    index = index[index.predictions_per_epoch == headline_f1("06_arousals").predictions_per_epoch]
    per_person = index.groupby("subject").predicted_per_h.mean()
    persons = persons.loc[per_person.index]
    with_osa, without = (per_person[persons.group == group] for group in ("osa", "control"))
    p_osa = mannwhitneyu(with_osa, without, alternative="greater").pvalue
    age = spearmanr(persons.age, per_person, alternative="greater")
    medians = f"{with_osa.median():.1f} an hour with OSA, {without.median():.1f} without"
    return [
        (p_osa < ALPHA, f"predicted arousals: {medians}, p {p_osa:.1g}"),
        (age.pvalue < ALPHA, f"predicted arousals and age: rank correlation {age.statistic:.2f}, p {age.pvalue:.1g}"),
    ]


def judge_osa() -> list[tuple[bool, str]]:
    """Fine predictions tell OSA better than one in 30 s."""
    scores = table("07_traits.osa", "summary").set_index("predictions_per_epoch")
    tested = scores.loc[FINE:][lambda fine: fine.p.notna()]
    gain = scores["mean"][FINE] - scores["mean"][1]
    p = min(1.0, tested.p.min() * len(tested))
    values = f"MF1 {scores['mean'][1]:.3f} at 1, {scores['mean'][FINE]:.3f} at {FINE} an epoch"
    return [
        (gain >= MF1_GAIN, f"OSA: {values}: {gain:.3f} better (target {MF1_GAIN})"),
        (p < ALPHA, f"OSA: permutation p {p:.3f} at {' or '.join(map(str, tested.index))}, times the number of tests"),
    ]


def judge_sex() -> list[tuple[bool, str]]:
    """What was not planted is not found."""
    scores = table("07_traits.sex", "summary")
    tested = scores[scores.p.notna()]
    p = min(1.0, tested.p.min() * len(tested))
    return [(p >= ALPHA, f"sex, which has no effect: MF1 {scores['mean'].max():.3f} at most, permutation p {p:.3f}")]


def judge_age() -> list[tuple[bool, str]]:
    """Age is told better than by the mean age of the others."""
    scores = table("07_traits", "summary")
    tested = scores[scores.p.notna()]
    first, p = tested.iloc[0], min(1.0, tested.p.min() * len(tested))
    values = f"RMSE {first['mean']:.1f} years at {first.predictions_per_epoch}, the mean age {first.baseline:.1f}"
    return [(p < ALPHA, f"age: {values}; permutation p {p:.3f}")]


if __name__ == "__main__":
    sys.exit(main())
