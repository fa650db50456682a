"""How somebody sleeps and is recorded: one table of what differs between persons and laboratories, and how much.

At variety 0 everybody is recorded alike, by a good recorder; at 1 each circumstance is uniform in its range, or any of
its choices. Ranges that begin below 0 where nothing can be less than 0 leave some persons without that fault. EEG in
sleep is larger in women and shrinks with age (Carrier et al. 2001, Psychophysiology 38:232), in proportion to variety.
"""

from dataclasses import dataclass, field, fields, replace

from anysleep.synthetic.persons import Person, Traits, check_variety, person_rng

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


def sleep_tonight(circumstances: Circumstances, night: int) -> str:
    """The kind of sleep (`hypnogram.SLEEP_KINDS`): there is one first night."""
    return "usual" if circumstances.sleep == "first night" and night > 1 else circumstances.sleep


def hours_tonight(circumstances: Circumstances, hours: float) -> float:
    """A nap is a quarter of a night."""
    return hours / 4 if circumstances.sleep == "nap" else hours


def under(traits: Traits, circumstances: Circumstances) -> Traits:
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
        slope=traits.slope + circumstances.slope,
        sensor_noise_uv=traits.sensor_noise_uv * noise,
    )
