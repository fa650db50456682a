"""A process of a toy training, alone or as one of several; notes what it draws and the weights after every step."""

import os
import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric
from toy_training import toy_training

torch.set_num_threads(1)
n_ranks = int(os.environ.get("WORLD_SIZE", 1))
fabric = Fabric(accelerator="cpu", devices=n_ranks, strategy="ddp" if n_ranks > 1 else "auto")
fabric.launch()
training = toy_training(Path(sys.argv[1]), fabric=fabric, n_steps=4, steps_per_training_epoch=2)
windows, weights = [], []
take_step = training._step


def noting(x, y):
    windows.append(x.clone())
    take_step(x, y)
    weights.append(torch.cat([p.detach().flatten() for p in training.network.parameters()]))


training._step = noting
state = training.run()
best = torch.cat([tensor.flatten().double() for tensor in state.best_weights.values()])
noted = {"windows": windows, "weights": weights, "history": state.history, "best": best}
torch.save(noted, Path(sys.argv[2]) / f"{fabric.global_rank}of{n_ranks}.pt")
