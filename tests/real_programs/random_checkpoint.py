"""Write a checkpoint of MemBrain-seg with random numbers: its real ones are not on a package index."""

import sys

import pytorch_lightning
import torch
from membrain_seg.segmentation.networks.unet import SemanticSegmentationUnet

torch.manual_seed(0)
trainer = pytorch_lightning.Trainer(max_epochs=0, accelerator="cpu", logger=False, enable_checkpointing=False)
trainer.strategy.connect(SemanticSegmentationUnet())
trainer.save_checkpoint(sys.argv[1])
