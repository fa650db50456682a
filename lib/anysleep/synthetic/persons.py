"""Who sleeps: synthetic persons, and the physiology that stays theirs from night to night."""

import zlib
from dataclasses import dataclass

import numpy as np

AGE_RANGE = (20.0, 80.0)
"""Years; ages are uniform in this range."""

MATCHED_AGE_GAP = 3.0
"""Years by which an OSA patient and the control matched to them may differ at most."""

N_EEG, N_EOG = 6, 2


@dataclass(frozen=True)
class Person:
    """One synthetic person.

    Attributes
    ----------
    subject
        Identifier, "syn001" for the first person of a cohort.
    age
        Years.
    sex
        "F" or "M"; has no planted effect.
    osa
        Whether the person has obstructive sleep apnoea.
    n_nights
        1 or 2 recorded nights.
    """

    subject: str
    age: float
    sex: str
    osa: bool
    n_nights: int

    @property
    def group(self) -> str:
        """'osa' or 'control', as written to participants.tsv."""
        return "osa" if self.osa else "control"


def draw_persons(n_persons: int, seed: int) -> list[Person]:
    """Draw a case-control cohort; person i is the same whatever `n_persons` is.

    Persons come in blocks of twelve: six matched pairs (OSA patient and control of the same sex, ages at most
    `MATCHED_AGE_GAP` years apart) in random order, four of the twelve with two nights. So OSA is independent of age and
    sex by design, not only on average.

    Parameters
    ----------
    n_persons
        Number of persons, at least 1.
    seed
        Non-negative integer.

    Raises
    ------
    ValueError
        If `n_persons` is below 1 or `seed` is negative.
    """
    if n_persons < 1:
        raise ValueError(f"n_persons is {n_persons}; a cohort needs at least 1 person.")
    check_seed(seed)
    persons: list[Person] = []
    while len(persons) < n_persons:
        persons.extend(_draw_block(first=len(persons) + 1, seed=seed))
    return persons[:n_persons]


def _draw_block(first: int, seed: int) -> list[Person]:
    rng = np.random.default_rng([seed, first])
    n_pairs = 6
    two_nights = rng.permutation(np.arange(2 * n_pairs) < 4)
    persons = []
    for pair in range(n_pairs):
        # Pairs alternate sex, in an order drawn for every two pairs.
        if pair % 2 == 0:
            sexes = rng.permutation(["F", "M"])
        age = rng.uniform(*AGE_RANGE)
        for osa in rng.permutation([True, False]):
            place = len(persons)
            own_age = np.clip(age + rng.uniform(-0.5, 0.5) * MATCHED_AGE_GAP, *AGE_RANGE)
            persons.append(
                Person(
                    subject=f"syn{first + place:03d}",
                    age=round(float(own_age), 1),
                    sex=str(sexes[pair % 2]),
                    osa=bool(osa),
                    n_nights=2 if two_nights[place] else 1,
                )
            )
    return persons


def check_seed(seed: int) -> None:
    """Raise ValueError unless `seed` is a non-negative integer."""
    if seed < 0:
        raise ValueError(f"seed is {seed}; use a non-negative integer, for example 0.")


def check_variety(variety: float) -> None:
    """Raise ValueError unless `variety` is in [0, 1]."""
    if not 0 <= variety <= 1:
        raise ValueError(
            f"variety is {variety}; use 0 (everybody is recorded alike) to 1 (as in a hundred laboratories)."
        )


def person_rng(person: Person, seed: int, night: int = 0) -> np.random.Generator:
    """Random numbers of one night of one person; night 0 is for what stays the same on all nights."""
    check_seed(seed)
    return np.random.default_rng([seed, zlib.crc32(person.subject.encode()), night])


@dataclass(frozen=True)
class Traits:
    """How strongly one person shows each feature on one night.

    Attributes
    ----------
    alpha_hz, spindle_hz
        Peak frequencies.
    alpha_gain, theta_gain, delta_gain, background_gain
        Power relative to the average person.
    slow_wave_uv
        Typical peak-to-peak amplitude at F3.
    spindle_uv
        Typical peak amplitude at C3.
    spindles_per_min
        In N2.
    k_complexes_per_min
        In N2.
    arousals_per_h
        Of sleep.
    light_after_arousal
        Share of arousals followed by a few seconds of light sleep.
    eye_gain
        Amplitude of eye movements relative to the average person.
    muscle_gain
        Amplitude of muscle activity relative to the average person.
    slope
        Added to the exponent of 1/f.
    beats_per_min, breaths_per_min
        At rest.
    channel_gains
        (8,) electrode-site gain.
    sensor_noise_uv
        Standard deviation of white amplifier noise.
    """

    alpha_hz: float
    spindle_hz: float
    alpha_gain: float
    theta_gain: float
    delta_gain: float
    background_gain: float
    slow_wave_uv: float
    spindle_uv: float
    spindles_per_min: float
    k_complexes_per_min: float
    arousals_per_h: float
    light_after_arousal: float
    eye_gain: float
    muscle_gain: float
    slope: float
    beats_per_min: float
    breaths_per_min: float
    channel_gains: np.ndarray
    sensor_noise_uv: float


def expected_arousals_per_h(age: float, osa: bool) -> float:
    """Mean arousals per hour of sleep at this age (years).

    Healthy sleepers have about 11/h at 20 and 22/h at 70 years (Bonnet and Arand 2007, J Clin Sleep Med 3:271). The
    rise planted here is 1.5 times as steep, so that small cohorts show it; OSA adds 12/h at any age.
    """
    return 7.0 + 0.33 * (age - AGE_RANGE[0]) + (12.0 if osa else 0.0)


def draw_traits(person: Person, seed: int, night: int) -> Traits:
    """The traits of a person on a night: personal values, times a smaller variation between nights.

    Older persons have lower slow waves (Landolt and Borbely 2001), fewer and lower spindles, slower alpha, and more
    arousals. `person.sex` is not read.
    """
    own, tonight = person_rng(person, seed), person_rng(person, seed, night)
    decades = (person.age - 50.0) / 10.0

    def vary(typical: float, between_persons: float, between_nights: float) -> float:
        log_factor = between_persons * own.standard_normal() + between_nights * tonight.standard_normal()
        return float(typical * np.exp(np.clip(log_factor, -0.8, 0.8)))

    return Traits(
        alpha_hz=float(np.clip(9.8 - 0.15 * decades + 0.6 * own.standard_normal(), 8.4, 11.5)),
        spindle_hz=float(np.clip(13.2 + 0.4 * own.standard_normal(), 12.4, 14.2)),
        alpha_gain=vary(1.0, 0.45, 0.15),
        theta_gain=vary(1.0, 0.2, 0.1),
        delta_gain=vary(1.0 - 0.04 * decades, 0.12, 0.08),
        background_gain=vary(1.0, 0.2, 0.1),
        slow_wave_uv=vary(108.0 - 8.0 * decades, 0.1, 0.05),
        spindle_uv=vary(28.0 - 1.0 * decades, 0.12, 0.05),
        spindles_per_min=vary(4.2 - 0.3 * decades, 0.15, 0.08),
        k_complexes_per_min=vary(1.4, 0.2, 0.1),
        arousals_per_h=vary(expected_arousals_per_h(person.age, person.osa), 0.12, 0.08),
        light_after_arousal=float(np.clip((0.65 if person.osa else 0.2) + 0.12 * own.standard_normal(), 0, 1)),
        eye_gain=vary(1.0, 0.15, 0.08),
        muscle_gain=vary(1.0, 0.2, 0.1),
        slope=0.0,
        beats_per_min=vary(62.0, 0.12, 0.04),
        breaths_per_min=vary(15.0, 0.12, 0.03),
        channel_gains=np.exp(0.12 * own.standard_normal(N_EEG + N_EOG)),
        sensor_noise_uv=vary(0.6, 0.3, 0.2),
    )
