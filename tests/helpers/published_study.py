"""Run folders of a study that found just what was published: three training runs, 14 resolutions, all data sets."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from anysleep.paper.runs import find_runs, read_tables
from anysleep.stages import PUBLISHED_RESOLUTIONS, STAGES

NETWORKS = ("anysleep", "usleep", "anysleep_early_fusion", "anysleep_late_fusion")
N_TRAINED = 3
MANY = "abc chat dcsm dodh dodo hpap isruc-sg1 isruc-sg2 isruc-sg3 mass-c1 mass-c3 phys".split()
SITES = ("EOG", "F3", "F4", "C3", "C4", "O1", "O2")
WITH_ATTENTION = [name for name in MANY if name != "dodh"]
MONTAGES = {"dodo": "EOG1 F3-M2 C3-M2 O1-M2", "mass-c1": "EOG_left_horizontal F3-CLE C3-CLE O1-CLE"}
MONTAGES["mass-c3"] = MONTAGES["mass-c1"].replace("CLE", "LER")
ISRUC, DOD, MASS = ["isruc-sg1", "isruc-sg2", "isruc-sg3"], ["dodh", "dodo"], ["mass-c1", "mass-c3"]


def write_run(
    folder: Path,
    params: dict,
    tables: dict[str, pd.DataFrame],
    inputs: dict[str, str] | None = None,
    scores: dict | None = None,
) -> Path:
    """A finished run as `Run` leaves it; its notebook is what the folder's name starts with."""
    folder.mkdir(parents=True)
    run_id = f"id-{folder.name}"
    for name, table in tables.items():
        table.assign(run_id=run_id).to_csv(folder / f"{name}.csv", index=False)
    outputs = [f"{name}.csv" for name in tables]
    notebook = folder.name.split(".")[0]
    result = {"notebook": notebook, "run_id": run_id, "scores": scores or {}, "outputs": outputs}
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "params.yaml").write_text(yaml.safe_dump({"run_id": run_id} | params))
    provenance = {"finished": "2026-01-01T00:00:00+00:00", "inputs_sha256": inputs or {}}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    return folder


class Study:
    """Writes the runs; `spread` moves our numbers at random, so that figures look like figures."""

    def __init__(self, folder: Path, published: pd.DataFrame, spread: float = 0):
        self.folder, self.published, self.spread = folder, published, spread
        self.rng = np.random.default_rng(0)
        sizes = self.rows("recordings_per_dataset")
        self.sizes = dict(zip(sizes.dataset, sizes.value.astype(int), strict=True))
        self.held_out = set(sizes.dataset[sizes.held_out == "yes"])

    def rows(self, result: str) -> pd.DataFrame:
        return self.published[self.published.result == result]

    def near(self, values, scale: float = 1) -> np.ndarray:
        return np.asarray(values, dtype=float) + self.rng.normal(0, self.spread * scale or 0, len(values))

    def scored(self, values, names: str = "estimate", scale: float = 1, width: float = 0.02) -> dict[str, np.ndarray]:
        ours = self.near(values, scale)
        return {names: ours, "low": ours - width, "high": ours + width}

    def write(self) -> Path:
        self.write_training()
        for network in NETWORKS:
            self.write_scores(network)
        self.write_draws()
        self.write_pairs()
        for i in range(N_TRAINED):
            self.write_predictions(i)
            self.write_arousals(i)
            self.write_traits(i)
        return self.folder

    def write_training(self) -> None:
        folder = write_run(self.folder / "03_train", {}, {})
        split = {"train": {}, "valid": {}, "test": {}}
        for row in self.rows("recordings_by_part").itertuples():
            split[row.measure.removeprefix("n_")][row.dataset] = [""] * int(row.value)
        (folder / "split.yaml").write_text(json.dumps(split))  # JSON is YAML, and faster

    def counts(self, networks, datasets) -> pd.DataFrame:
        """Of all nights; where sites are asked for without the one of isruc-sg1 that lacks two."""
        fewer = {} if len(datasets) == len(self.sizes) else {"isruc-sg1": 1}
        nights = [(name, f"n{i}") for name in datasets for i in range(self.sizes[name] - fewer.get(name, 0))]
        table = pd.DataFrame(nights, columns=["dataset", "recording"])
        parts = [
            table.assign(checkpoint=f"{network}-{i}", network=network) for network in networks for i in range(N_TRAINED)
        ]
        return pd.concat(parts, ignore_index=True)

    def checkpoints(self, networks) -> dict[str, str]:
        named = [f"sha-{network}-{i}" for network in networks for i in range(N_TRAINED)]
        return {f"checkpoint_{i}": sha for i, sha in enumerate(named, start=1)}

    def write_scores(self, network: str) -> None:
        rows = self.rows("mf1_per_dataset")
        rows = rows[rows.network == network]
        parts = [
            pd.DataFrame({"dataset": rows.dataset} | self.scored(rows.value)).assign(checkpoint=f"{network}-{i}")
            for i in range(N_TRAINED)
        ]
        intervals = pd.concat(parts).assign(level="dataset", score="mf1", n_persons=10)
        tables = {"counts": self.counts([network], self.sizes), "intervals": intervals}
        if network == "anysleep":  # the others have no cost_channels
            tables["cost"] = pd.concat([self.cost(name) for name in NETWORKS])
        params = {"montages": "all", "split": "split.yaml", "split_part": "test", "ensemble": False}
        write_run(self.folder / f"04_evaluate.{network}", params, tables, self.checkpoints([network]))

    def cost(self, network: str) -> pd.DataFrame:
        n = np.arange(1, 11) if network != "usleep" else np.array([2])
        own = {"anysleep": 0.55, "usleep": 0.5, "anysleep_early_fusion": 0.05, "anysleep_late_fusion": 1}[network]
        size = self.rows("parameters").set_index("network").value.astype(int)
        field = float(self.rows("receptive_field").value.iloc[0])
        return pd.DataFrame({"n_channels": n, "seconds": 1 + own * n, "memory_mb": 300 + 200 * own * n}).assign(
            network=network, sampling_rate_hz=128, hours=8, multiply_adds=(2 + own * n) * 1e8,
            n_parameters=size[network], receptive_field_min=field,
        )  # fmt: skip

    def write_draws(self) -> None:
        rows, parts = self.rows("mf1_by_eeg_channels"), []
        for network in ("anysleep", "usleep"):
            of_one = rows[rows.network == network]
            for i in range(N_TRAINED):
                point = {"n_eeg": of_one.n_eeg, "n_eog": of_one.n_eog}
                table = pd.DataFrame(point | self.scored(of_one.value, "mf1", 0.3, 0.008))
                parts.append(table.assign(checkpoint=f"{network}-{i}", n_recordings=643, n_draws=5000, n_persons=600))
        comparison = pd.DataFrame({"n_eeg": [np.nan, 1, 2, 3, 4, 5, 6], "n_eog": [np.nan, *[1] * 6]}).assign(
            first="usleep", second="anysleep", n_recordings=643, difference=0.012, low=0.004, high=0.02,
            p=0.0123, welch_t=9.0, welch_p=1e-9,
        )  # fmt: skip
        gain = pd.DataFrame({"n_eeg": range(1, 7), "n_eog": 1, "network": "anysleep", "training": "anysleep"}).assign(
            difference=[0.0301, 0.0139, 0.0109, 0.0067, 0.0062, 0.0033], low=0.001, high=0.03, n_recordings=643,
            p=[0.002, 0.01, 0.02, 0.04, 0.06, 0.2], welch_t=0.61, welch_p=[1e-9, 0.0005, 0.002, 0.03, 0.04, 0.271],
        )  # fmt: skip
        tables = {"counts": self.counts(["anysleep", "usleep"], MANY), "channel_study": pd.concat(parts)}
        tables["eog_gain"] = gain
        params = {"montages": "drawn", "split_part": "test", "ensemble": False}
        inputs = self.checkpoints(["anysleep", "usleep"])
        write_run(self.folder / "04_evaluate.draws", params, tables | {"comparison": comparison}, inputs)

    def write_pairs(self) -> None:
        lowest, highest = self.rows("two_channel_mf1_range").value
        alone = float(self.rows("worst_single_channel_mf1").value.iloc[0])
        pairs, parts = list(combinations(SITES, 2)), []
        for network in ("anysleep", "usleep"):
            cells = [
                *pairs,
                *([pair[::-1] for pair in pairs] if network == "usleep" else []),
                *zip(SITES, SITES, strict=True),
            ]
            n_pairs = len(cells) - len(SITES)
            mf1 = [*np.linspace(lowest, highest, n_pairs), *np.linspace(alone, 0.74, len(SITES))]
            if network == "usleep":
                loss = dict(
                    zip(SITES[1:], np.linspace(*self.rows("usleep_swap_loss").value, len(SITES) - 1), strict=True)
                )
                mf1 = [0.75 - loss.get(second, 0) * (first == "EOG") for first, second in cells]
            for i in range(N_TRAINED):
                table = pd.DataFrame(cells, columns=["first", "second"]).assign(mf1=mf1, n_recordings=563)
                parts.append(table.assign(checkpoint=f"{network}-{i}", network=network))
        sites = ["&".join(pair) for pair in pairs] + list(SITES)
        comparison = pd.DataFrame({"sites": [np.nan, *sites]}).assign(
            first="usleep", second="anysleep", n_recordings=563, difference=0.01, low=0, high=0.02,
            p=np.geomspace(0.0005, 1, len(sites) + 1), welch_t=3.0, welch_p=np.geomspace(1e-9, 1, len(sites) + 1),
        )  # fmt: skip
        tables = {"counts": self.counts(["anysleep", "usleep"], sorted({*MANY} - {"dodh", "dodo"}))}
        tables |= {"channel_study": pd.concat(parts), "comparison": comparison}
        params = {"montages": "pairs", "split_part": "test", "ensemble": False}
        write_run(self.folder / "04_evaluate.pairs", params, tables, self.checkpoints(["anysleep", "usleep"]))

    def write_predictions(self, i: int) -> None:
        nights = pd.DataFrame({"dataset": "phys", "recording": [f"n{j}" for j in range(10)]}).assign(network="anysleep")
        attention = self.attention(i)
        grid = nights[["dataset", "recording"]].merge(resolutions(), how="cross")
        slow = np.log2(grid.seconds_per_prediction)
        statistics = grid.assign(
            TST=self.near(400 + 3 * slow, 900), SE=self.near(85 + slow, 300), WASO=self.near(50 - 3 * slow, 600),
            SFI=self.near(30 - 4 * slow, 300), SOL=self.near(15 + 0 * slow, 300), n_short_awakenings=20 - 4 * slow,
            **{f"%{stage}": self.near(20 + 0 * slow, 200) for stage in STAGES[1:]},
        )  # fmt: skip
        tables = {"nights": nights, "attention": attention, "statistics": statistics}
        write_run(self.folder / f"05_predict.seed{i}", {}, tables, {"checkpoint": f"sha-anysleep-{i}"})

    def attention(self, i: int) -> pd.DataFrame:
        """Of all nights with the four sites, as each data set calls them; the first module listens to C3 mostly."""
        highest = float(self.rows("highest_attention").value.iloc[0])
        weights = np.random.default_rng(i).dirichlet([30, 30, 30, 30], 13)
        weights[0] = [(1 - highest) / 3, (1 - highest) / 3, highest, (1 - highest) / 3]
        parts = []
        for dataset in WITH_ATTENTION:
            sites = MONTAGES.get(dataset, "E1-M2 F3-M2 C3-M2 O1-M2").split()
            cells = [(k, site, weights[k, j]) for k in range(13) for j, site in enumerate(sites)]
            n = self.sizes[dataset] - {"isruc-sg1": 1, "dodo": 4}.get(dataset, 0)
            nights = pd.DataFrame({"dataset": dataset, "recording": [f"n{j}" for j in range(n)]})
            table = pd.DataFrame(cells, columns=["module", "channel", "weight"]).assign(montage="&".join(sites))
            parts.append(nights.merge(table, how="cross"))
        return pd.concat(parts, ignore_index=True)

    def write_arousals(self, i: int) -> None:
        rows, parts = self.rows("arousal_scores_as_published"), []
        for matching, lower in (("as_published", 0), ("one_to_one", 0.03)):
            ours = pd.DataFrame({"predictions_per_epoch": rows.predictions_per_epoch, "measure": rows.measure})
            parts.append(ours.assign(**self.scored((rows.value - lower).clip(0)), matching=matching))
        scores = with_seconds(pd.concat(parts)).assign(network="anysleep", iou_above=0.2, n_recordings=115)
        rows = self.rows("stage_share_of_arousal_time")
        shares = pd.DataFrame({"predictions_per_epoch": rows.predictions_per_epoch, "stage": rows.stage})
        shares = with_seconds(shares.assign(**self.scored(rows.value, "share", 0.5, 0.015), network="anysleep"))
        nights = [(name, f"n{j}") for name in MASS for j in range(self.sizes[name])]
        counts = pd.DataFrame(nights, columns=["dataset", "recording"]).assign(network="anysleep")
        tables = {"counts": counts, "scores": scores, "stage_shares": shares} | excerpt()
        predictions = str(self.folder / f"05_predict.seed{i}")
        write_run(
            self.folder / f"06_arousals.seed{i}",
            {"predictions": predictions},
            tables,
            {"checkpoint": f"sha-anysleep-{i}"},
        )

    def write_traits(self, i: int) -> None:
        guess = self.rows("age_rmse_mean_guess").set_index("measure").value
        made = (
            ("age_rmse_isruc", "age", ISRUC, 10, guess["rmse_of_124_recordings"]),
            ("sex_mf1_isruc", "sex", ISRUC, 1, 0.5),
            ("osa_mf1_dod", "dataset", DOD, 1, 0.5),
            ("osa_mf1_usleep_claim", "dataset", DOD, 1, 0.5),
        )
        for result, trait, datasets, scale, baseline in made:
            rows = self.rows(result)
            table = pd.DataFrame({"predictions_per_epoch": rows.predictions_per_epoch})
            table = table.assign(**self.scored(rows.value, "mean", scale, 0.05 * scale), network=rows.network)
            table = table.assign(trait=trait, datasets="+".join(datasets), measure=rows.measure, baseline=baseline)
            n_recordings = 124 if datasets == ISRUC else sum(self.sizes[name] for name in datasets)
            table = with_seconds(table.assign(group_by="recording", control=baseline * 1.02, n_recordings=n_recordings))
            sd = {"sd_of_recordings": guess["rmse_of_124_recordings"], "sd_of_persons": guess["rmse_of_116_persons"]}
            table = table.assign(n_repetitions=50, **(sd if trait == "age" else dict.fromkeys(sd, np.nan)))
            table["p"] = np.where(table.predictions_per_epoch == 128, 0.02, np.nan)
            tested = [table]
            if trait == "age":
                mean = table["mean"] + (0.3 if self.spread else 0)
                by_person = {"group_by": "subject", "mean": mean}
                tested.append(table.assign(**by_person))
            params = {"predictions": str(self.staged_with(datasets)), "n_folds": 0}
            inputs = {"checkpoint": f"sha-{rows.network.iloc[0]}-{i}"}
            write_run(self.folder / f"07_traits.{result}{i}", params, {"summary": pd.concat(tested)}, inputs)

    def staged_with(self, datasets: list[str]) -> Path:
        """Where it stands which channels were staged."""
        folder = self.folder.with_name(f"{self.folder.name}-staged") / "+".join(datasets)
        folder.mkdir(parents=True, exist_ok=True)
        montage = ["C3-M2", "F3-F4", "F3-M2", "F4-O2", "F3-O1", "EOG1", "EOG2"] if datasets == DOD else []
        (folder / "params.yaml").write_text(yaml.safe_dump({"channels": montage}))
        return folder


def resolutions() -> pd.DataFrame:
    return with_seconds(pd.DataFrame({"predictions_per_epoch": PUBLISHED_RESOLUTIONS}))


def with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(seconds_per_prediction=30 / table.predictions_per_epoch.astype(float))


def excerpt() -> dict[str, pd.DataFrame]:
    """Ten minutes at 16 Hz with two bursts."""
    rng, second = np.random.default_rng(1), np.arange(9600) / 16
    burst = ((second % 300) > 200) & ((second % 300) < 210)
    signals = [pd.DataFrame({"second": second, "channel": "C3-M2", "value": rng.normal(0, 1 + 2 * burst)})]
    grid = pd.DataFrame({"second": np.arange(600)}).merge(pd.DataFrame({"hz": np.arange(0, 32)}), how="cross")
    onset = np.arange(0, 600, 3.75)
    awake = ((onset % 300) > 198) & ((onset % 300) < 212)
    p = rng.dirichlet([1, 1, 6, 2, 1], len(onset))
    p[awake] = rng.dirichlet([8, 1, 1, 1, 1], awake.sum())
    stages = pd.DataFrame({"onset_s": onset, "end_s": onset + 3.75, "stage": [STAGES[k] for k in p.argmax(axis=1)]})
    stages[[f"p_{name.lower()}" for name in STAGES]] = p
    stages = stages.assign(dataset="mass-c3", recording="01-03-0001")
    events = [("expert", 200, 210), ("predicted", 198, 212), ("expert", 500, 511), ("predicted", 503, 510)]
    return {
        "excerpt_signals": pd.concat(signals),
        "excerpt_spectrogram": grid.assign(db=-grid.hz + rng.normal(0, 2, len(grid))),
        "excerpt_stages": stages,
        "excerpt_hypnogram": pd.DataFrame({"onset_s": np.arange(0, 600, 30)}).assign(
            end_s=lambda table: table.onset_s + 30, stage=["N1", *["N2"] * 15, *["N3"] * 3, "unscored"]
        ),
        "excerpt_events": pd.DataFrame(events, columns=["source", "onset_s", "end_s"]),
    }


def tables_of(folder):
    runs, unusable = find_runs([f"{folder}/*"], leave_out=folder / "08_figures")
    assert unusable.empty
    return read_tables(runs)


def copied(study, tmp_path, *patterns):
    for pattern in patterns:
        for path in study.glob(pattern):
            shutil.copytree(path, tmp_path / "study" / path.name)
    return tmp_path / "study"
