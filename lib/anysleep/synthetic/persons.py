"""Who sleeps and how they are recorded: persons, their physiology from night to night, and what differs between them.

At variety 0 everybody is recorded alike, by a good recorder; at 1 each circumstance is uniform in its range, or any of
its choices. Ranges that begin below 0 where nothing can be less than 0 leave some persons without that fault. EEG in
sleep is larger in women and shrinks with age (Carrier et al. 2001, Psychophysiology 38:232), in proportion to variety.
"""

import zlib
from dataclasses import dataclass, field, fields, replace

import numpy as np

AGE_RANGE = (20.0, 80.0)
"""Years; ages are uniform in this range."""

MATCHED_AGE_GAP = 3.0
"""Years by which an OSA patient and the control matched to them may differ at most."""

N_EEG, N_EOG = 6, 2


@dataclass(frozen=True)
class Person:
    """One synthetic person."""

    subject: str  # "syn001" for the first person of a cohort
    age: float  # in years
    sex: str  # "F" or "M"; has no planted effect
    osa: bool  # obstructive sleep apnoea
    n_nights: int  # 1 or 2

    @property
    def group(self) -> str:
        """'osa' or 'control', as written to participants.tsv."""
        return "osa" if self.osa else "control"


def draw_persons(n_persons: int, seed: int) -> list[Person]:
    """Draw a case-control cohort; person i is the same whatever `n_persons` is.

    Persons come in blocks of twelve: six matched pairs (OSA patient and control of the same sex, ages at most
    `MATCHED_AGE_GAP` years apart) in random order, four of the twelve with two nights. So OSA is independent of age and
    sex by design, not only on average. ValueError unless there is a person, and the seed is not negative.
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
class PersonTraits:
    """How strongly one person shows each feature on one night."""

    alpha_hz: float
    spindle_hz: float
    alpha_gain: float  # this and the next three: power relative to the average person
    theta_gain: float
    delta_gain: float
    background_gain: float
    slow_wave_uv: float  # typical peak-to-peak amplitude at F3
    spindle_uv: float  # typical peak amplitude at C3
    spindles_per_min: float  # in N2
    k_complexes_per_min: float  # in N2
    arousals_per_h: float  # of sleep
    light_after_arousal: float  # share of arousals followed by a few seconds of light sleep
    eye_gain: float  # amplitude relative to the average person
    muscle_gain: float  # amplitude relative to the average person
    eyes_open_s: float  # mean stretch of Wake with open eyes; those with closed eyes last a minute
    slope: float  # added to the exponent of 1/f
    beats_per_min: float
    breaths_per_min: float
    channel_gains: np.ndarray  # (8,), of electrode sites
    sensor_noise_uv: float  # standard deviation of white amplifier noise


def expected_arousals_per_h(age: float, osa: bool) -> float:
    """Mean arousals per hour of sleep at this age (years).

    Healthy sleepers have about 11/h at 20 and 22/h at 70 years (Bonnet and Arand 2007, J Clin Sleep Med 3:271). The
    rise planted here is 1.5 times as steep, so that small cohorts show it; OSA adds 12/h at any age.
    """
    return 7.0 + 0.33 * (age - AGE_RANGE[0]) + (12.0 if osa else 0.0)


def draw_traits(person: Person, seed: int, night: int) -> PersonTraits:
    """The traits of a person on a night: personal values, times a smaller variation between nights.

    Older persons have lower slow waves (Landolt and Borbely 2001), fewer and lower spindles, slower alpha, and more
    arousals. `person.sex` is not read.
    """
    own, tonight = person_rng(person, seed), person_rng(person, seed, night)
    decades = (person.age - 50.0) / 10.0

    def vary(typical: float, between_persons: float, between_nights: float) -> float:
        log_factor = between_persons * own.standard_normal() + between_nights * tonight.standard_normal()
        return float(typical * np.exp(np.clip(log_factor, -0.8, 0.8)))

    return PersonTraits(
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
        eyes_open_s=25.0,
        slope=0.0,
        beats_per_min=vary(62.0, 0.12, 0.04),
        breaths_per_min=vary(15.0, 0.12, 0.03),
        channel_gains=np.exp(0.12 * own.standard_normal(N_EEG + N_EOG)),
        sensor_noise_uv=vary(0.6, 0.3, 0.2),
    )


_STREAM = 2000
"""Number of the person's random stream that circumstances are drawn from; smaller numbers are nights."""

_WOMEN_DB, _DECADE_DB = 0.8, -0.5


def _within(typical: float, low: float, high: float):
    return field(default=typical, metadata={"range": (low, high)})


def _among(typical: str, *others: str):
    return field(default=typical, metadata={"choices": (typical, *others)})


@dataclass(frozen=True)
class Circumstances:
    """The defaults are those of variety 0; a negative level or rate is none at all."""

    # the sleeper
    sleep: str = _among("usual", "usual", "usual", "insomnia", "insomnia", "first night", "narcolepsy", "nap")
    slope: float = _within(0.0, -0.4, 0.4)  # added to the exponent of 1/f
    amplitude_db: float = _within(0.0, -4.0, 4.0)  # of all brain activity
    slow_wave_db: float = _within(0.0, -3.0, 2.0)
    spindle_db: float = _within(0.0, -5.0, 3.0)
    alpha_db: float = _within(0.0, -12.0, 4.0)  # one person in ten has hardly any
    eye_db: float = _within(0.0, -5.0, 5.0)
    muscle_db: float = _within(0.0, -4.0, 6.0)
    # the recorder
    montage: str = _among(
        "contralateral", "same side", "linked", "vertex", "average", "bipolar", "midline", "frontopolar"
    )
    gain_db: float = _within(0.0, -6.0, 6.0)
    highpass_hz: float = _within(0.0, 0.05, 0.5)
    lowpass_hz: float = _within(100.0, 25.0, 100.0)
    mains_hz: str = _among("50", "60")
    hum_uv: float = _within(0.0, -4.0, 4.0)
    noise_db: float = _within(0.0, -3.0, 6.0)
    # what goes wrong
    ecg_share: float = _within(0.0, -0.01, 0.015)  # of the ECG that the EEG picks up
    sweat_uv: float = _within(0.0, -40.0, 40.0)
    snoring_uv: float = _within(0.0, -6.0, 6.0)
    movements_per_h: float = _within(0.0, -2.0, 6.0)
    loose_share: float = _within(0.0, -1.0, 0.6)  # of the night, for one electrode
    n_unplugged: float = _within(0.0, -4.0, 4.0)  # electrodes
    dropouts_per_h: float = _within(0.0, -3.0, 1.0)  # of transmission
    # last, so that the draws above stay what they were
    eyes_open_s: float = _within(25.0, 10.0, 240.0)


def draw_circumstances(person: Person, seed: int, variety: float) -> Circumstances:
    """The same for all nights of a person. ValueError unless `variety` is in [0, 1]."""
    check_variety(variety)
    rng = person_rng(person, seed, _STREAM)
    drawn = {}
    for each in fields(Circumstances):
        if "range" in each.metadata:
            value = each.default + variety * (rng.uniform(*each.metadata["range"]) - each.default)
        else:
            other = rng.choice(each.metadata["choices"] + (_other_sleep(person) if each.name == "sleep" else ()))
            value = str(other) if rng.random() < variety else each.default
        drawn[each.name] = value
    by_body = _WOMEN_DB * (person.sex == "F") + _DECADE_DB * (person.age - 50) / 10
    drawn["amplitude_db"] += variety * by_body
    return Circumstances(**{name: round(v, 3) if isinstance(v, float) else v for name, v in drawn.items()})


def _other_sleep(person: Person) -> tuple[str, ...]:
    """Kinds of sleep that only some can have."""
    return ("apnoea", "apnoea", "split night") * person.osa + ("old age",) * 3 * (person.age >= 60)


def under(traits: PersonTraits, circumstances: Circumstances) -> PersonTraits:
    """The traits as these circumstances change them."""
    brain, slow_wave, spindle, alpha, eye, muscle, noise = (
        10 ** (getattr(circumstances, f"{name}_db") / 20)
        for name in ("amplitude", "slow_wave", "spindle", "alpha", "eye", "muscle", "noise")
    )
    return replace(
        traits,
        background_gain=traits.background_gain * brain**2,
        delta_gain=traits.delta_gain * slow_wave**2,
        slow_wave_uv=traits.slow_wave_uv * brain * slow_wave,
        spindle_uv=traits.spindle_uv * brain * spindle,
        alpha_gain=traits.alpha_gain * alpha**2,
        eye_gain=traits.eye_gain * eye,
        muscle_gain=traits.muscle_gain * muscle,
        eyes_open_s=circumstances.eyes_open_s,
        slope=traits.slope + circumstances.slope,
        sensor_noise_uv=traits.sensor_noise_uv * noise,
    )
