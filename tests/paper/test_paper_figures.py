"""The figures of the paper draw what the tables say beside what is published, and say which table is missing."""

import hashlib
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers.published_study import Study
from matplotlib.colors import to_hex

from anysleep.figures.looks import NETWORKS
from anysleep.paper import figures as paper
from anysleep.paper.figures.channels import format_p, panels_of
from anysleep.paper.figures.style import PAGE_IN
from anysleep.paper.figures.traits import one_run_each
from anysleep.paper.ledger import ledger, mf1_table
from anysleep.paper.results import read_results, with_sites
from anysleep.paper.runs import find_runs, read_tables

DRAWN = {
    "channel_numbers": lambda tables, published: paper.plot_channel_numbers(tables, published),
    "channel_pairs": lambda tables, published: paper.plot_channel_pairs(tables),
    "attention": lambda tables, published: paper.plot_attention_depth(tables),
    "cost": lambda tables, published: paper.plot_cost(tables),
    "traits": lambda tables, published: paper.plot_traits(tables, published),
    "arousal_excerpt": lambda tables, published: paper.plot_arousal_excerpt(tables),
    "arousal_scores": lambda tables, published: paper.plot_arousal_scores(tables, published),
    "statistics": lambda tables, published: paper.plot_statistics(tables),
}
WRITTEN_BY = {
    "channel_numbers": ("channel_study", "04_evaluate with montages: drawn"),
    "channel_pairs": ("channel_study", "04_evaluate with montages: pairs"),
    "attention": ("attention", "05_predict"),
    "cost": ("cost", "04_evaluate with numbers in cost_channels"),
    "traits": ("summary", "07_traits"),
    "arousal_excerpt": ("excerpt_signals", "06_arousals"),
    "arousal_scores": ("scores", "06_arousals"),
    "statistics": ("statistics", "05_predict"),
}


@pytest.fixture(scope="module")
def published():
    return read_results()


@pytest.fixture(scope="module")
def tables(published, tmp_path_factory):
    folder = Study(tmp_path_factory.mktemp("study"), published, spread=0.004).write()
    return read_tables(find_runs([f"{folder}/*"], leave_out=folder)[0])


@pytest.fixture(autouse=True)
def page():
    with plt.rc_context():
        paper.use_style()
        yield


def lines_of(ax):
    """Label -> x and y of each line."""
    return {line.get_label(): np.array(line.get_data(), dtype=float) for line in ax.lines}


def texts_of(figure):
    return " ".join(text.get_text() for ax in figure.axes for text in ax.texts)


@pytest.mark.parametrize("name", DRAWN)
def test_a_missing_table_leaves_the_place_and_says_who_writes_it(name, tables, published):
    whole, empty = DRAWN[name](tables, published), DRAWN[name]({}, published)
    assert empty.get_size_inches()[0] == PAGE_IN
    table, notebook = WRITTEN_BY[name]
    assert f"has the table {table}.csv.\nIt is written by {notebook}" in texts_of(empty)
    assert whole.get_size_inches()[0] <= PAGE_IN and "No finished run" not in texts_of(whole)


def check_page(figure):
    width_in, height_in = figure.get_size_inches()
    drawn = figure.get_tightbbox()
    assert min(drawn.x0, drawn.y0) > -0.05, "something sticks out of the page"
    assert drawn.x1 < width_in + 0.05 and drawn.y1 < height_in + 0.05, "something sticks out of the page"


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_fits_the_page_and_is_the_same_every_time(name, tables, published, tmp_path):
    digests = set()
    for i in range(2):
        figure = DRAWN[name](tables, published)
        figure.savefig(tmp_path / f"{i}.png")
        digests.add(hashlib.sha256((tmp_path / f"{i}.png").read_bytes()).hexdigest())
        check_page(figure)
    assert len(digests) == 1
    sizes = {
        text.get_fontsize() for ax in figure.axes for text in ax.texts + ax.get_xticklabels() + ax.get_yticklabels()
    }
    assert min(sizes) >= 6 and max(sizes) <= 9


def test_the_curves_are_ours_and_the_published_ones(tables, published):
    ax = paper.plot_channel_numbers(tables, published).axes[0]
    lines = lines_of(ax)
    rows = published[published.result == "mf1_by_eeg_channels"]
    theirs = rows[(rows.network == "anysleep") & (rows.n_eog == 0)]
    assert lines["published: AnySleep, no EOG"].tolist() == [theirs.n_eeg.tolist(), theirs.value.tolist()]
    study = tables["04_evaluate/drawn/channel_study"]
    ours = study[(study.network == "usleep") & (study.n_eog == 1)].groupby("n_eeg").mf1.mean()
    assert lines["U-Sleep, 1 EOG"][1] == pytest.approx(ours.to_numpy())
    assert np.abs(lines["U-Sleep, 1 EOG"][0] - ours.index).max() < 0.2


def test_differences_and_both_p_values_stand_under_their_number_of_channels(tables, published):
    comparison, gain = tables["04_evaluate/drawn/comparison"], tables["04_evaluate/drawn/eog_gain"]
    changed = comparison.assign(p=comparison.n_eeg / 100, welch_p=1e-5)
    figure = paper.plot_channel_numbers(tables | {"04_evaluate/drawn/comparison": changed}, published)
    below = [(text.get_position()[0], text.get_text()) for text in figure.axes[1].texts]
    assert {(n, f"0.0{n}") for n in range(1, 7)} <= set(below)
    assert {(6, "<0.001"), (6, "0.27"), (1, "+0.030")} <= set(below)
    names = [text for x, text in below if x > 1 and "less" in text]
    assert names == ["AnySleep less U-Sleep, 1 EOG", "AnySleep, 1 EOG less none"]
    gain_alone = {name: table for name, table in tables.items() if not name.endswith("comparison")}
    assert len(paper.plot_channel_numbers(gain_alone, published).axes[1].texts) == 3 * 7
    neither = {name: table for name, table in gain_alone.items() if not name.endswith("gain")}
    assert len(paper.plot_channel_numbers(neither, published).axes) == 1
    assert gain.welch_p.tolist()[-1] == 0.271


def test_stars_say_where_eog_makes_the_published_test_significant(tables, published):
    """One-sided p of 1e-9, .0005, .002, .03, .04 and .271."""
    ax = paper.plot_channel_numbers(tables, published).axes[0]
    stars = {text.xy[0]: text.get_text() for text in ax.texts}
    assert stars == {1: "***", 2: "***", 3: "**", 4: "*", 5: "*", 6: ""}


def test_figures_1a_and_1b_are_of_three_training_runs(tables, published):
    numbers, pairs = paper.plot_channel_numbers(tables, published), paper.plot_channel_pairs(tables)
    assert "12 data sets, 3 training runs" in numbers.axes[0].get_title(loc="left")
    assert pairs.axes[0].get_title(loc="left") == "AnySleep: MF1\n563 nights, 3 training runs"
    study = tables["04_evaluate/pairs/channel_study"]
    moved = study.assign(mf1=study.mf1 + 0.03 * (study.checkpoint == "anysleep-2"))
    values = [
        np.asarray(one.axes[0].collections[0].get_array(), dtype=float)
        for one in (pairs, paper.plot_channel_pairs(tables | {"04_evaluate/pairs/channel_study": moved}))
    ]
    assert values[1] - values[0] == pytest.approx(np.full((7, 7), 0.01))


def test_two_networks_are_compared_rather_than_two_runs_of_one(tables, published):
    comparison = tables["04_evaluate/drawn/comparison"]
    of_one = comparison.assign(first="anysleep-0", second="anysleep-1", first_network="anysleep", difference=0.5)
    both = pd.concat([of_one, comparison], ignore_index=True)
    figure = paper.plot_channel_numbers(tables | {"04_evaluate/drawn/comparison": both}, published)
    assert "AnySleep less U-Sleep, 1 EOG" in texts_of(figure) and "+0.500" not in texts_of(figure)


def test_no_published_curve_stands_beside_nights_of_other_data_sets(tables, published):
    counts = tables["04_evaluate/drawn/counts"].assign(dataset="synthetic")
    ax = paper.plot_channel_numbers(tables | {"04_evaluate/drawn/counts": counts}, published).axes[0]
    assert not [name for name in lines_of(ax) if name.startswith("published")]
    assert "nothing is published of these nights" in ax.get_title(loc="left")


@pytest.mark.parametrize(("p", "text"), [(0.04567, "0.046"), (0.000999, "<0.001"), (1.0, "1"), (np.nan, "-")])
def test_p_values_are_written_with_two_digits(p, text):
    assert format_p(p) == text


def test_a_pair_has_the_colour_and_number_of_its_sites_whatever_their_order(tables):
    figure = paper.plot_channel_pairs(tables)
    study = tables["04_evaluate/pairs/channel_study"]
    cells = study[study.network == "anysleep"].groupby(["first", "second"]).mf1.mean()
    values = np.asarray(figure.axes[0].collections[0].get_array(), dtype=float).reshape(7, 7)
    assert values[3, 1] == values[1, 3] == pytest.approx(cells["F3", "C3"])
    ordered = study[study.network == "usleep"].groupby(["first", "second"]).mf1.mean()
    values = np.asarray(figure.axes[1].collections[0].get_array(), dtype=float).reshape(7, 7)
    assert (values[3, 1], values[1, 3]) == pytest.approx((ordered["C3", "F3"], ordered["F3", "C3"]))


def test_attention_is_averaged_over_nights_of_the_published_montage_a_panel_a_training_run(tables):
    attention = tables["05_predict/attention"]
    other = [attention.assign(recording=f"odd{i}", weight=9.0, montage="F3-M2&C3-M2").head(100) for i in range(3)]
    figure = paper.plot_attention_depth(tables | {"05_predict/attention": pd.concat([*other, attention])})
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    titles = [ax.get_title(loc="left") for ax in panels]
    assert [title.split("\n")[2] for title in titles[:3]] == ["614 nights, 11 data sets"] * 3
    assert titles[3].split("\n")[:2] == ["mean of the", "3 trained networks"]
    drawn = [np.asarray(ax.collections[0].get_array(), dtype=float).reshape(13, 4) for ax in panels]
    assert drawn[1].sum(axis=1) == pytest.approx(np.ones(13)) and drawn[0][0, 2] == pytest.approx(0.88)
    assert drawn[3] == pytest.approx((drawn[0] + drawn[1] + drawn[2]) / 3)
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["EOG", "F3", "C3", "O1"]


def test_runs_of_one_name_and_networks_of_another_kind_have_their_own_panels_and_mean(tables):
    """Two folders called alike are two runs, and a mean is of one network's runs."""
    attention = with_sites(tables["05_predict/attention"])
    first = attention[attention.trained == attention.trained.iloc[0]]
    runs = [("a/05_predict", "1", "anysleep"), ("b/05_predict", "2", "anysleep"), ("c/05_predict", "3", "early")]
    parts = [
        first.assign(run=run, trained=trained, network=network, weight=float(trained)) for run, trained, network in runs
    ]
    panels = list(panels_of(pd.concat(parts)))
    assert [weights.to_numpy().mean() for _, weights in panels] == pytest.approx([1, 2, 1.5, 3])
    titles = [title.split("\n") for title, _ in panels]
    assert titles[0] == titles[1] and titles[2] == ["mean of the", "2 trained networks", "AnySleep"]


def test_changes_with_resolution_are_those_within_one_run(tables):
    statistics = tables["05_predict/statistics"]
    another = statistics[statistics.predictions_per_epoch == 1].assign(run="a first one by name", TST=0.0)
    mixed = pd.concat([another, statistics], ignore_index=True)
    kept = one_run_each(mixed).sort_values(["trained", "recording", "predictions_per_epoch"])
    expected = statistics.sort_values(["trained", "recording", "predictions_per_epoch"])
    assert kept.TST.tolist() == expected.TST.tolist()


def test_cost_is_drawn_as_measured_and_as_counted(tables):
    cost = tables["04_evaluate/cost"]
    axes = paper.plot_cost(tables).axes
    late = cost[cost.network == "anysleep_late_fusion"]
    for ax, values in zip(axes, (late.multiply_adds / 1e9, late.seconds, late.memory_mb), strict=True):
        line = next(line for name, line in lines_of(ax).items() if name.startswith("late fusion"))
        assert line.tolist() == [late.n_channels.tolist(), pytest.approx(values.tolist())]


def test_usleep_costs_as_many_passes_as_there_are_pairs_of_eeg_and_eog(tables):
    """Of 1+1, 2+1, 2+2, ... 8+2 channels: 1, 2, 4, 6, 8, 10, 12, 14 and 16 pairs; memory is that of one."""
    pair = tables["04_evaluate/cost"].query("network == 'usleep'").iloc[0]
    axes = paper.plot_cost(tables).axes
    drawn = [next(line for name, line in lines_of(ax).items() if name.startswith("U-Sleep")) for ax in axes]
    n_pairs = np.array([1, 2, 4, 6, 8, 10, 12, 14, 16])
    for (x, y), once, times in zip(
        drawn, (pair.multiply_adds / 1e9, pair.seconds, pair.memory_mb), (n_pairs, n_pairs, n_pairs**0), strict=True
    ):
        assert x.tolist() == list(range(2, 11)) and y == pytest.approx(once * times)
    labels = [label.get_text() for label in axes[0].get_xticklabels()]
    assert labels == ["1\n0", "1\n1", "2\n1", "2\n2", "3\n2", "4\n2", "5\n2", "6\n2", "7\n2", "8\n2"]


def test_the_excerpt_has_the_experts_epochs_under_the_predicted_stages(tables):
    """One N1, fifteen N2, three N3 and one unscored epoch, in grey at the height of their stages."""
    ax = paper.plot_arousal_excerpt(tables).axes[2]
    grey = next(one for one in ax.collections if one.get_label() == "expert, 30 s")
    segments = [segment for segment in grey.get_segments() if len(segment)]
    assert [segment[0, 1] for segment in segments if np.isfinite(segment).all()] == [2, *[3] * 15, *[4] * 3]
    without = {name: table for name, table in tables.items() if not name.endswith("hypnogram")}
    ax = paper.plot_arousal_excerpt(without).axes[2]
    assert "expert, 30 s" not in [one.get_label() for one in ax.collections]


def test_traits_have_guess_control_interval_and_published_values(tables, published):
    axes = {ax.get_title(loc="left").split("\n")[0]: ax for ax in paper.plot_traits(tables, published).axes}
    assert list(axes) == ["age", "sex", "OSA (DOD-O against DOD-H)"]
    lines = lines_of(axes["age"])
    summary = tables["07_traits/summary"]
    by_person = summary[(summary.trait == "age") & (summary.group_by == "subject")]
    ours = by_person.groupby("seconds_per_prediction")["mean"].mean()
    assert lines["AnySleep, folds by person"].tolist() == [ours.index.tolist(), pytest.approx(ours.tolist())]
    assert set(lines["guess"][1]) == {16.06}
    drawn = axes["age"].containers[0].lines[0].get_data()
    theirs = published[published.result == "age_rmse_isruc"][::-1]
    assert np.asarray(drawn[1]).tolist() == theirs.value.tolist()
    assert np.asarray(drawn[0]) == pytest.approx(30 / theirs.predictions_per_epoch.to_numpy(dtype=float))


def test_traits_of_other_data_sets_have_no_published_values_beside_them(tables, published):
    other = {"07_traits/summary": tables["07_traits/summary"].assign(datasets="mine")}
    axes = paper.plot_traits(other, published).axes
    assert not any(ax.containers for ax in axes) and axes[2].get_title(loc="left") == "dataset\nmine"


def test_arousal_scores_are_those_of_both_ways_of_matching(tables, published):
    figure = paper.plot_arousal_scores(tables, published)
    f1 = lines_of(figure.axes[3])
    scores = tables["06_arousals/scores"]
    for way, name in (("one_to_one", "one to one"), ("as_published", "as published")):
        rows = scores[(scores.measure == "f1") & (scores.matching == way)]
        means = rows.groupby("seconds_per_prediction").estimate.mean()
        assert f1[f"AnySleep, matched {name}"][1] == pytest.approx(means.to_numpy())
    theirs = published[(published.result == "arousal_scores_as_published") & (published.measure == "f1")]
    assert f1["published: AnySleep"][1].tolist() == theirs.value.tolist()[::-1]
    wake = published[(published.result == "stage_share_of_arousal_time") & (published.stage == "Wake")]
    assert lines_of(figure.axes[0])["published"][1].tolist() == wake.value.tolist()[::-1]


def test_arousal_scores_of_other_data_sets_stand_alone(tables, published):
    other = {name: table.assign(datasets="mine") for name, table in tables.items() if "arousals" in name}
    figure = paper.plot_arousal_scores(other, published)
    assert not any("published: AnySleep" in lines_of(ax) for ax in figure.axes)


def test_the_excerpt_has_no_hypnodensity_where_there_are_no_probabilities(tables):
    stages = tables["06_arousals/excerpt_stages"]
    without = stages.assign(**{name: np.nan for name in stages if name.startswith("p_")})
    for given, said in ((without, True), (stages, False)):
        figure = paper.plot_arousal_excerpt(tables | {"06_arousals/excerpt_stages": given})
        assert ("write_logits" in figure.axes[0].get_title(loc="left")) == said


def test_mf1_has_a_row_a_data_set_and_ours_with_its_interval(tables, published):
    table = mf1_table(ledger(published, tables), published, tables)
    figure = paper.plot_mf1_by_dataset(table)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["abc", "ccshs"] and labels.count("mean") == 2 and len(labels) == 23
    usleep = table[table.network == "usleep"]
    ours = lines_of(figure.axes[1])["ours"]
    assert ours[0] == pytest.approx(usleep.ours.to_numpy(dtype=float))
    assert sorted(np.round(ours[1])) == list(range(23))
    page = paper.format_mf1_table(table)
    assert page.shape == (23, 4) and list(page.index.get_level_values("group").unique()) == [
        "in distribution",
        "held out",
    ]
    row = table[(table.dataset == "dodh") & (table.network == "usleep")].iloc[0]
    assert page.loc[("held out", "dodh"), "U-Sleep"].endswith("(published 0.81 ± 0.012)")
    assert page.loc[("held out", "dodh"), "U-Sleep"].startswith(f"{row.ours:.3f} ± {row.sd_of_runs:.3f} [{row.low:.3f}")
    means = tables["04_evaluate/all/intervals"].query("dataset == 'dodh' and network == 'usleep'").estimate
    assert row.sd_of_runs == pytest.approx(np.std(means, ddof=1)) and len(means) == 3


def test_a_statistic_is_drawn_as_its_change_within_nights(tables):
    figure = paper.plot_statistics(tables)
    table = tables["05_predict/statistics"]
    wide = table.pivot(index=["trained", "recording"], columns="seconds_per_prediction", values="WASO")
    changes = (wide.T - wide[30.0]).T.median()
    _, middle = figure.axes[1].lines
    assert np.asarray(middle.get_ydata()) == pytest.approx(changes.to_numpy())
    assert figure.axes[1].get_title(loc="left").startswith("Wake after sleep onset\nmedian")


def test_titles_fit_the_page_where_some_nights_lack_a_statistic(tables):
    lacking = tables["05_predict/statistics"]
    lacking = lacking.assign(SOL=lacking.SOL.where(lacking.recording != "n0"))
    figure = paper.plot_statistics(tables | {"05_predict/statistics": lacking})
    assert figure.axes[2].get_title(loc="left").endswith("27 of 30 nights")
    figure.draw_without_rendering()
    check_page(figure)


def test_networks_differ_in_colour_marker_and_line():
    for part in ("colour", "marker", "line"):
        assert len({getattr(look, part) for look in NETWORKS.values()}) == len(NETWORKS)
    okabe_ito = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000"}
    assert {to_hex(look.colour) for look in NETWORKS.values()} <= okabe_ito


def test_the_idea_shows_each_verdict():
    labels = [label.get_text() for label in paper.plot_ledger_idea().axes[0].get_yticklabels()]
    assert {"within", "outside", "not measured"} <= set(labels)


def test_figures_and_ledger_need_no_network_library():
    """Tables in, figures out: it takes seconds, also where torch is not installed."""
    modules = "anysleep.workbook.runner, anysleep.paper.ledger, anysleep.paper.figures, anysleep.published"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
