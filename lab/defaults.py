"""Our defaults for TRL's fields, each with its reason; every one of them can be set in the experiment's YAML."""

SFT = {
    "learning_rate": (2e-5, "full fine-tuning of small models; LoRA wants about ten times as much"),
    "num_train_epochs": (1.0, "a second look at few demonstrations teaches their wording, not the format"),
    "lr_scheduler_type": ("constant", "SFT here is a handful of steps: a decay would waste most of them"),
    "max_length": (None, "a demonstration is never cut: a cut one has no end of turn to learn"),
    "packing": (False, "packed rows need an attention kernel that laptops lack"),
    "loss_type": ("nll", "the plain likelihood of the assistant's tokens"),
}

GRPO = {
    "max_steps": (100, "a first look; the curve says whether to go on"),
    "num_train_epochs": (3.0, "TRL's; set without max_steps it counts, else the steps do"),
    "num_generations": (8, "answers a prompt: fewer leave most groups of 0/1 rewards without spread"),
    "learning_rate": (1e-6, "TRL's; small models and LoRA take more"),
    "lr_scheduler_type": ("constant", "so that a longer run begins as a shorter one did"),
    "temperature": (1.0, "the policy that is trained must be the one that is sampled"),
    "top_p": (1.0, "as above: a cut tail would bias the gradient"),
    "top_k": (0, "as above; transformers would otherwise fall back to 50"),
    "beta": (0.0, "no KL term, no reference model in memory: verifiable rewards cannot be talked into anything"),
    "loss_type": ("dapo", "every token of a step counts the same, so long answers are not favoured (DAPO, 2503.14476)"),
    "scale_rewards": ("group", "divided by the group's spread, as in GRPO (2402.03300); 'none' is Dr. GRPO's choice"),
    "mask_truncated_completions": (False, "a truncated answer earns nothing and is told so"),
    "use_transformers_continuous_batching": (False, "on a CPU it took 2.2 times as long as generate, 3.7 as ours"),
    "num_completions_to_print": (0, "the live line leads; completions are in the report and in parquet"),
    "log_completions": (True, "every completion with every reward component is kept as parquet"),
}

EVERY_STAGE = {
    "logging_steps": (1, "the curves need each step"),
    "report_to": ("none", "metrics.jsonl and the report are always written; 'trackio' adds a live page"),
    "save_strategy": ("steps", "a killed run loses the steps since the last checkpoint, no more"),
    "save_steps": (0.1, "below 1 a share of the steps: ten checkpoints a stage, and never less than ten steps apart"),
    "save_total_limit": (1, "one is enough to go on from, and goes at the stage's end; more, or null for all, stay"),
    "gradient_checkpointing": (False, "small models have the memory; turn it on where yours has not"),
    "dataloader_pin_memory": (False, "rows are tiny; pinning only warns on a CPU"),
}

# Fields that another key sets: refused where a user would set them twice.
SET_BY_THE_LAB = {
    "output_dir": "the run folder is made anew for each run, under `output`",
    "seed": "set `seed` at the top level: it seeds every stage",
    "resume_from_checkpoint": "a run is continued with `lab resume RUN`",
    "reward_weights": "weights belong to the task: Task(weights={…})",
    "model_init_kwargs": "set `model.dtype` and its neighbours instead",
    "chat_template_kwargs": "set `model.chat_template_kwargs`, so that every stage renders alike",
    "remove_unused_columns": "the lab's rows carry the columns that its stages read",
}


def trainer_defaults(section: str) -> dict:
    """Field → value for the section "sft" or "grpo"."""
    own = SFT if section == "sft" else GRPO
    return {name: value for name, (value, _) in (EVERY_STAGE | own).items()}
