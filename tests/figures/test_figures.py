"""Pictures say what they show: units and polarity, one order of stages and colours, one time axis."""

from datetime import datetime

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from anysleep.figures import plot_channel_draws, plot_history, plot_night, plot_signals, plot_staging
from anysleep.figures.arousals import plot_arousal_stage_shares, plot_f1_by_threshold
from anysleep.figures.looks import resolution_colours
from anysleep.figures.traits import plot_triplet_counts
from anysleep.stages import EPOCH_S, N2, N3, STAGE_COLOURS, STAGES, WAKE

RATE_HZ = 64


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn_signals(**options):
    signals = np.zeros((2, EPOCH_S * RATE_HZ))
    signals[0, 100] = -2.0  # a negative wave of the first channel
    return plot_signals(signals, RATE_HZ, ["C3-M2", "E1-M2"], plt.figure().subplots(), **options)


def test_signals_are_in_microvolts_where_their_scale_is_known_and_negative_is_up():
    ax = drawn_signals(iqr_uv=np.array([20.0, 40.0]))
    wave, bar = ax.lines[0].get_ydata(), ax.lines[-1].get_ydata()
    assert wave.min() == -40 and ax.yaxis_inverted() and "negative up" in ax.get_ylabel()
    assert np.ptp(bar) == 100 and ax.texts[0].get_text() == "100 µV"


@pytest.mark.parametrize("iqr_uv", [None, np.array([20.0, np.nan])])
def test_without_a_scale_signals_are_in_interquartile_ranges(iqr_uv):
    ax = drawn_signals(iqr_uv=iqr_uv)
    assert ax.lines[0].get_ydata().min() == -2
    assert np.ptp(ax.lines[-1].get_ydata()) == 6 and ax.texts[0].get_text().startswith("6 inter")


@pytest.mark.parametrize("start_time", [None, datetime(2000, 1, 1, 22, 13)])
def test_both_figures_of_a_night_have_one_time_axis(start_time):
    hypnogram = np.repeat([WAKE, N2, N3], 40)
    hypnodensity = np.eye(5)[hypnogram]
    staging = plot_staging(hypnogram, hypnodensity, seconds_per_prediction=EPOCH_S, start_time=start_time,
                           truth=hypnogram, lights_s=(600, None))  # fmt: skip
    night = plot_night(np.random.default_rng(0).standard_normal(120 * EPOCH_S * RATE_HZ), RATE_HZ, hypnogram,
                       start_time=start_time, lights_s=(600, 3600))  # fmt: skip
    for figure in (staging, night):
        figure.canvas.draw()
    axes = [*staging.axes[:3], *night.axes[:2]]
    said = [[text.get_text().strip() for text in ax.texts] for ax in axes]
    assert said == [["lights off"], ["lights off"], [], ["lights off", "lights on"], []]
    first, last = axes[0].get_xlim()
    drawn = [(line.get_xdata(orig=False)[0] - first) / (last - first) for line in night.axes[0].lines]
    assert drawn == pytest.approx([1 / 6, 1])
    assert len({ax.get_xlim() for ax in axes}) == 1
    assert len({(round(ax.get_position().x0, 6), round(ax.get_position().x1, 6)) for ax in axes}) == 1
    name = "clock time" if start_time else "hours since start"
    assert staging.axes[-1].get_xlabel() == night.axes[1].get_xlabel() == name


def test_a_hypnogram_that_changes_all_the_time_still_shows_its_stages():
    hypnogram = np.tile([N2, N2, N2, WAKE], 1440)
    figure = plot_staging(hypnogram, np.eye(5)[hypnogram], seconds_per_prediction=3.75)
    steps, *stages = [*figure.axes[0].patches, *figure.axes[0].collections]
    assert steps.get_linewidth() < 0.1
    drawn = {tuple(lines.get_colors()[0]) for lines in stages if len(lines.get_segments())}
    assert drawn == {plt.matplotlib.colors.to_rgba(STAGE_COLOURS[stage]) for stage in (N2, WAKE)}


def test_coarse_resolutions_are_light_and_fine_ones_dark_in_every_figure():
    colours = resolution_colours([128, 1, 8])
    luminance = [np.dot(colours[r][:3], (0.3, 0.6, 0.1)) for r in (1, 8, 128)]
    assert luminance == sorted(luminance, reverse=True)
    scores = pd.DataFrame({"predictions_per_epoch": [1, 8, 128], "iou_above": 0.2, "estimate": 0.5})
    ax = plot_f1_by_threshold(scores.assign(matching="one_to_one", measure="f1"), plt.figure().subplots())
    assert [line.get_color() for line in ax.lines[:3]] == [colours[r] for r in (1, 8, 128)]
    ax = plot_triplet_counts({r: np.full((1, 80), r) for r in (1, 8, 128)}, 1.0, plt.figure().subplots())
    assert [line.get_color() for line in ax.lines] == [colours[r] for r in (1, 8, 128)]


def test_stages_are_stacked_as_in_a_hypnodensity():
    shares = pd.DataFrame({"predictions_per_epoch": 1, "stage": STAGES, "share": 0.2})
    ax = plot_arousal_stage_shares(shares, plt.figure().subplots())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Wake", "REM", "N1", "N2", "N3"]
    assert ax.containers[0].get_label() == "N3"  # at the bottom


def test_the_curve_of_drawn_channels_says_how_many_nights_it_is_of():
    curve = pd.DataFrame({"checkpoint": "a", "n_eeg": [1, 2], "n_eog": 1, "mf1": 0.8, "low": 0.7, "high": 0.9})
    for n, words in (([4, 4], "the same 4 nights at every point"), ([3, 4], "3 to 4 nights at every point")):
        ax = plot_channel_draws(curve.assign(n_recordings=n), plt.figure().subplots())
        assert ax.get_title(loc="left").startswith(words)


def test_loss_and_score_of_training_have_axes_of_their_own():
    history = pd.DataFrame({"step": [150, 300], "train_loss": [1.1, 0.8], "valid_mf1": [0.7, 0.65]})
    top, bottom = plot_history(history, plt.figure()).axes
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("training loss", "validation MF1")
    assert "0.700 at step 150" in bottom.get_title(loc="left")


def test_training_and_every_data_set_of_the_validation_have_a_line_that_is_named():
    history = pd.DataFrame({"step": [150, 300], "train_loss": [1.1, 0.8], "train_mf1": [0.5, 0.8]})
    history = history.assign(valid_mf1=[0.6, 0.7], valid_mf1_dodh=[0.9, 0.4], valid_mf1_mesa=[0.5, 0.8])
    figure = plot_history(history, plt.figure(layout="constrained"))
    drawn = {line.get_label(): list(line.get_ydata()) for line in figure.axes[1].get_lines()}
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["dodh", "mesa", "training windows", "validation, all"]
    assert [drawn[name] for name in named] == [[0.9, 0.4], [0.5, 0.8], [0.5, 0.8], [0.6, 0.7]]
    assert len({line.get_color() for line in figure.axes[1].get_lines()}) == 4
    alone = plot_history(history.drop(columns="valid_mf1_mesa"), plt.figure(layout="constrained"))
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["training windows", "validation, all"]
