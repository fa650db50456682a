"""What is picked is what is drawn; pictures say what is missing; nobody is dropped from a count."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from anysleep.datasets.archive import Archive, DatasetFiles, NightWriter, assemble_archive
from anysleep.datasets.overview import (
    archived_night,
    channel_verdicts,
    count_ages,
    count_stages,
    missing_channels,
    stage_percentages,
)
from anysleep.figures import (
    night_spectrogram,
    plot_ages,
    plot_durations,
    plot_each_dataset,
    plot_history,
    plot_missing_channels,
    plot_overview,
    plot_stage_shares,
)
from anysleep.widgets import LiveFigure, closed_answer, explore, next_stage_change
from anysleep.widgets import explorer as widgets
from anysleep.workbook.notebooks import Inspect
from anysleep.workbook.run import Run

RATE_HZ = 64
EPOCH = 30 * RATE_HZ
STAGES = np.array([9, 0, 0, 1, 2, 2, 2, 3, 3, 4])
NIGHTS = {  # data set -> recording -> channels, number of epochs, hypnogram
    "lab": {"night1": (["C3-M2", "O1-M2", "E1-M2"], 10, STAGES), "night2": (["O1-M2", "E1-M2"], 10, STAGES[::-1])},
    "other": {"night1": (["Fpz"], 6, None), "short": (["Fpz"], 1, np.array([9]))},
}
PERSONS = {"night1": {"subject": "p1", "age": 34.0, "sex": "F"}, "night2": {"subject": "p1", "age": 35.0, "sex": "F"}}

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two data sets, each with a recording called night1; one night has a gap, one no hypnogram, one a single epoch."""
    folder = tmp_path_factory.mktemp("archive")
    rng = np.random.default_rng(0)
    datasets = []
    for dataset, nights in NIGHTS.items():
        for recording, (channels, n_epochs, hypnogram) in nights.items():
            with NightWriter(folder / f"{dataset}-{recording}.h5", recording, n_epochs, RATE_HZ) as night:
                for channel in channels:
                    night.add_channel(channel, rng.standard_normal(n_epochs * EPOCH))
                if hypnogram is not None:
                    night.add_hypnogram(hypnogram)
                night.add_spans("gaps", [[45, 75]] if recording == "night2" else [])
                verdicts = [{"channel": name, "verdict": "look", "reason": "hum"} for name in channels]
                night.describe(pd.DataFrame(verdicts), PERSONS[recording] if dataset == "lab" else {})
        files = [(folder / f"{dataset}-{recording}.h5", recording) for recording in nights]
        known = ["C3-M2", "O1-M2"] if dataset == "lab" else ["Fpz"]
        datasets.append(DatasetFiles(dataset, known, ["E1-M2"] if dataset == "lab" else [], files))
    return assemble_archive(folder / "archive.h5", datasets, RATE_HZ)


@pytest.fixture
def archive(path):
    with Archive(path) as archive:
        yield archive


@pytest.fixture
def unpainted(monkeypatch):
    """Axes are examined, so the pixels, which take longest, are left out."""
    monkeypatch.setattr(widgets, "_show", lambda picture, figure: plt.close(figure))


@pytest.fixture
def view(archive, unpainted):
    return explore(archive)


def axes_of(figure):
    """Hypnogram, spectrogram, close-up."""
    top, bottom, middle, _ = figure.axes
    return top, middle, bottom


def drawn(view):
    """Names, seconds and signals of the close-up, as they stand on the axes."""
    close_up = axes_of(view.figure)[2]
    names = [label.get_text() for label in close_up.get_yticklabels()]
    lines = close_up.lines[: len(names)]
    signals = [line.get_ydata() - offset for line, offset in zip(lines, close_up.get_yticks(), strict=True)]
    return names, lines[0].get_xdata(), np.array(signals)


def assert_shows(view, archive, dataset, recording, channels, epoch):
    names, seconds, signals = drawn(view)
    assert names == channels
    assert seconds[0] == 30 * (epoch - 1) and len(seconds) == EPOCH
    assert np.allclose(signals, archive.signals(dataset, recording, channels, epoch - 1, 1), atol=1e-5)
    assert f"{recording} ({dataset} data)" == view.figure.get_suptitle()


def test_the_first_picture_shows_every_channel_of_the_first_recording(archive):
    view = explore(archive)
    assert_shows(view, archive, "lab", "night1", ["C3-M2", "O1-M2", "E1-M2"], epoch=1)
    assert "data:image/png" in view.picture.value
    assert not plt.get_fignums()  # an open figure would show a second time


def test_another_recording_shows_its_own_signals_even_under_the_same_name(view, archive):
    view.dataset.value = "other"
    assert_shows(view, archive, "other", "night1", ["Fpz"], epoch=1)
    view.dataset.value = "lab"
    view.recording.value = ("lab", "night2")
    assert_shows(view, archive, "lab", "night2", ["O1-M2", "E1-M2"], epoch=1)


def test_picked_channels_alone_are_drawn_and_the_first_gives_the_spectrogram(view, archive):
    view.channels.value = ("O1-M2", "E1-M2")
    assert_shows(view, archive, "lab", "night1", ["O1-M2", "E1-M2"], epoch=1)
    middle = axes_of(view.figure)[1]
    expected = night_spectrogram(archive.signals("lab", "night1", ["O1-M2"])[0], RATE_HZ).decibels
    assert np.allclose(middle.images[0].get_array(), expected)
    assert middle.get_ylabel() == "O1-M2\nfrequency (Hz)"


def test_picks_stay_where_the_next_recording_has_them_and_none_means_all(view):
    view.channels.value = ("C3-M2", "E1-M2")
    view.recording.value = ("lab", "night2")
    assert drawn(view)[0] == ["E1-M2"]
    view.channels.value = ()
    assert drawn(view)[0] == ["O1-M2", "E1-M2"]


def test_the_buttons_walk_epoch_by_epoch_and_stop_at_the_ends(view, archive):
    view.previous.click()
    assert_shows(view, archive, "lab", "night1", ["C3-M2", "O1-M2", "E1-M2"], epoch=1)
    view.next.click()
    view.next.click()
    assert_shows(view, archive, "lab", "night1", ["C3-M2", "O1-M2", "E1-M2"], epoch=3)
    view.epoch.value = 10
    view.next.click()
    assert_shows(view, archive, "lab", "night1", ["C3-M2", "O1-M2", "E1-M2"], epoch=10)


def test_next_stage_change_goes_to_the_first_epoch_of_another_stage(view):
    seen = []
    for _ in range(6):
        view.next_change.click()
        seen.append(axes_of(view.figure)[2].texts[1].get_text())
    assert seen == ["epoch 2: Wake", "epoch 4: N1", "epoch 5: N2", "epoch 8: N3", "epoch 10: REM", "epoch 10: REM"]


def test_a_night_of_one_stage_has_no_next_change():
    assert next_stage_change(np.array([2, 2, 2]), 1) == 1


@pytest.mark.parametrize("recording", ["night1", "short"])
def test_one_channel_no_hypnogram_and_one_epoch_are_drawn_and_said(view, recording):
    view.epoch.value = 10
    view.dataset.value = "other"
    view.recording.value = ("other", recording)
    view.next_change.click()
    last = NIGHTS["other"][recording][1]
    assert drawn(view)[1][0] == 30 * (last - 1)
    assert f"epoch {last}: unscored" in [text.get_text() for text in axes_of(view.figure)[2].texts]
    said = [text.get_text() for text in axes_of(view.figure)[0].texts]
    assert said == (["no hypnogram"] if recording == "night1" else [])
    assert view.next_change.disabled == (recording == "night1")


def test_every_change_draws_once_and_a_spectrogram_is_computed_once(archive, unpainted, monkeypatch):
    calls = {"plot_overview": 0, "night_spectrogram": 0}
    for name in calls:
        monkeypatch.setattr(widgets, name, counted(getattr(widgets, name), name, calls))
    view = explore(archive)
    for change in (view.next.click, view.next.click, view.next_change.click):
        change()
    assert calls == {"plot_overview": 4, "night_spectrogram": 1}
    view.epoch.value = 9
    view.dataset.value = "other"  # another recording, other channels, fewer epochs
    view.dataset.value = "lab"
    assert calls == {"plot_overview": 7, "night_spectrogram": 2}


def counted(function, name, calls):
    def call(*arguments, **named):
        calls[name] += 1
        return function(*arguments, **named)

    return call


def test_the_controls_live_on_when_the_notebook_closes_its_archive(path, unpainted):
    with Archive(path) as archive:
        view = explore(archive)
    view.next.click()
    assert drawn(view)[1][0] == 30


def test_a_rhythm_stands_at_its_frequency_and_in_its_epochs():
    seconds = np.arange(4 * EPOCH + 100) / RATE_HZ  # the last epoch is not whole
    rhythm = np.sin(2 * np.pi * np.where(seconds < 60, 10, 20) * seconds) * (seconds < 90)
    hz, decibels = night_spectrogram(rhythm, RATE_HZ)
    assert decibels.shape == (len(hz), 4) and hz[-1] == 30
    assert hz[np.argmax(decibels[:, :3], axis=0)].tolist() == [10, 10, 20]
    assert np.isnan(decibels[:, 3]).all()
    with pytest.raises(ValueError, match="10 samples at 64 Hz are less than one epoch"):
        night_spectrogram(rhythm[:10], RATE_HZ)


def test_the_night_and_the_close_up_share_time_and_say_gaps_and_unscored_epochs():
    signals = np.random.default_rng(0).standard_normal((2, 10 * EPOCH))
    window = signals[:, 2 * EPOCH : 4 * EPOCH]
    spectrogram = night_spectrogram(signals[0], RATE_HZ)
    figure = plot_overview(window, RATE_HZ, ["A", "B"], spectrogram, STAGES, 60, [(45, 75), (200, 230)], "a night",
                           lights_s=(30, None))  # fmt: skip
    top, middle, bottom = axes_of(figure)
    assert top.get_xlim() == middle.get_xlim() == (0, 300 / 3600)
    assert np.allclose(bottom.get_xlim(), (60, 120), atol=1 / RATE_HZ)
    labelled = dict(zip(*reversed(top.get_legend_handles_labels()), strict=True))
    assert list(labelled) == ["unscored", "recorder paused", "seconds shown below"]
    assert np.allclose(span(labelled["unscored"]), (0, 30 / 3600))
    assert np.allclose(span(labelled["recorder paused"]), (45 / 3600, 75 / 3600))
    assert labelled["seconds shown below"].get_xdata()[0] == 60 / 3600
    assert [text.get_text() for text in top.texts] == [" lights off "] and top.lines[0].get_xdata()[0] == 30 / 3600
    assert [span(patch) for patch in bottom.patches] == [(45, 75)]  # the other pause is not in the window
    assert [text.get_text() for text in bottom.texts[1:3]] == ["epoch 3: Wake", "epoch 4: N1"]


@pytest.mark.parametrize("name", [r"EEG C3 $\q$", "$x^2$", r"\$1$", "a_{b}^c", "$", "F3\n{", "µ §"])
def test_text_of_files_is_drawn_as_it_is(name):
    signals = np.random.default_rng(0).standard_normal((2, 10 * EPOCH))
    names, spectrogram = [name, "B"], night_spectrogram(signals[0], RATE_HZ)
    figure = plot_overview(signals[:, :EPOCH], RATE_HZ, names, spectrogram, None, 0, [], title=name)
    figure.canvas.draw()
    bottom = axes_of(figure)[2]
    assert [label.get_text() for label in bottom.get_yticklabels()] == names
    assert not any(text.get_parse_math() for text in figure.findobj(plt.Text) if text.get_text())


def span(patch):
    return patch.get_x(), patch.get_x() + patch.get_width()


def test_stages_of_scored_nights_are_counted(archive):
    stages = count_stages(archive, archive.recordings()).set_index(["dataset", "recording"])
    expected = {"Wake": 2, "N1": 1, "N2": 3, "N3": 2, "REM": 1, "unscored": 1}
    for night in (("lab", "night1"), ("lab", "night2")):
        assert stages.loc[night, list(expected)].to_dict() == expected and stages.n_epochs[night] == 10
    assert stages.unscored["other", "short"] == 1 and ("other", "night1") not in stages.index
    percent = stage_percentages(stages.reset_index())
    assert percent["N2 (%)"].tolist()[:2] == pytest.approx([100 * 3 / 9] * 2) and np.isnan(percent["N2 (%)"][2])


def test_channels_that_recordings_lack_are_counted(archive):
    missing = missing_channels(archive, archive.recordings())
    counts = missing.set_index(["dataset", "channel"]).n_missing
    assert counts.to_dict() == {("lab", "C3-M2"): 1, ("lab", "O1-M2"): 0, ("lab", "E1-M2"): 0, ("other", "Fpz"): 0}
    figure = plot_each_dataset(missing, plot_missing_channels)
    assert [[bar.get_width() for bar in ax.patches] for ax in figure.axes] == [[0.5, 0, 0], [0]]


def test_every_channel_has_the_verdict_of_the_doctor_and_old_archives_have_none(archive, monkeypatch):
    nights = archive.recordings()
    verdicts = channel_verdicts(archive, nights)
    assert len(verdicts) == nights.channels.map(len).sum()
    assert set(verdicts.verdict) == {"look"} and set(verdicts.reason) == {"hum"}
    monkeypatch.setattr(Archive, "quality", lambda *_: None)
    assert channel_verdicts(archive, nights).empty


def test_persons_count_once_and_unknown_ages_and_sexes_are_counted_as_such():
    people = [("p1", 34.0, "F"), ("p1", 35.0, "F"), ("p2", 58.0, "M"), ("p3", None, "M"), ("p4", 50.0, None)]
    people += [(None, None, None), (None, None, None)]
    nights = pd.DataFrame(people, columns=["subject", "age", "sex"]).assign(dataset="lab")
    counts = count_ages(nights)
    assert counts.index.tolist() == ["30-39", "40-49", "50-59", "unknown"]
    assert counts.to_dict("list") == {"F": [1, 0, 0, 0], "M": [0, 0, 1, 1], "unknown": [0, 0, 1, 2]}
    figure = plot_each_dataset(nights, plot_ages)
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 6
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["F (1)", "M (2)", "unknown (3)"]


def test_durations_are_in_hours_and_every_recording_is_in_a_bar():
    nights = pd.DataFrame({"dataset": "lab", "n_epochs": [1, 720, 721, 960]})
    figure = plot_each_dataset(nights, plot_durations)
    bars = {bar.get_x(): bar.get_height() for bar in figure.axes[0].patches if bar.get_height()}
    assert bars == {0: 1, 6: 2, 8: 1}


def test_nothing_to_show_is_said():
    figure = plot_each_dataset(pd.DataFrame({"dataset": []}), plot_stage_shares)
    assert figure.axes[0].texts[0].get_text() == "nothing to show"


def test_an_answer_is_shut_until_it_is_opened():
    shown = closed_answer("A < B", pd.DataFrame({"nights": [3]})).data
    assert shown.startswith("<details><summary>Answer</summary><p>A &lt; B</p>") and "<td>3</td>" in shown
    assert " open" not in shown.partition(">")[0]


def test_the_picture_of_a_growing_table_gives_way_to_the_final_one(monkeypatch):
    shown = []
    place = SimpleNamespace(update=shown.append)
    monkeypatch.setenv("JPY_SESSION_NAME", "train.ipynb")
    monkeypatch.setattr("anysleep.widgets.display", lambda figure, display_id: shown.append(figure) or place)
    live = LiveFigure(plot_history, figsize=(6, 4))
    live.clear()  # nothing drawn yet
    for steps in ([150], [150, 300]):
        live.draw(pd.DataFrame({"step": steps, "train_loss": 1.0, "valid_mf1": 0.5}))
    live.clear()
    assert [len(figure.axes) for figure in shown[:2]] == [2, 2] and shown[2].data == "" and len(shown) == 3


def test_a_run_notes_the_archive_that_it_opens_and_closes_it_at_its_end(path, tmp_path):
    given = {"dataset": "", "recording": "", "channels": [], "start_s": 0.0, "n_epochs": 1}
    run = Run(Inspect(run_dir=str(tmp_path), archive=str(path), **given), tmp_path, "id")
    opened = run.open_archive(path)
    assert run.inputs == {"archive": opened.fingerprint()} and len(opened.recordings()) == 4
    run.finish()
    with pytest.raises(ValueError, match=path.name):
        opened.recordings()


def test_a_night_of_the_archive_is_a_recording_again(archive):
    night = archived_night(archive, "lab", "night2")
    stored = archive.signals("lab", "night2", ["O1-M2", "E1-M2"])
    paused = np.arange(10 * EPOCH) // RATE_HZ
    paused = (paused >= 45) & (paused < 75)
    assert night.channels == ("O1-M2", "E1-M2") and night.types == ("EEG", "EOG") and night.units == ("other",) * 2
    assert np.isnan(night.signals[0][paused]).all() and (night.signals[1][~paused] == stored[1][~paused]).all()
    assert night.n_epochs == 10 and (night.hypnogram == STAGES[::-1]).all() and night.gaps_s.tolist() == [[45, 75]]
    assert night.start_time is None and night.lights_s == (None, None) and len(night.arousals) == 0
