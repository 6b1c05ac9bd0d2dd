"""What the lab adds to TRL's GRPO trainer: each distinct prompt is computed once, for all its answers.

layout.py      which token stands where, when a batch is packed into one row without padding or repeated prompts
attention.py   attention over such a row, as an attention implementation of transformers
logprobs.py    log-probabilities from hidden states, never a tensor of batch × length × vocabulary
generation.py  answers to each prompt from one prefill; finished answers leave the batch
weights.py     the weights in a layout that decoding on a CPU reads faster
sampling.py    the next token: temperature, top-k, top-p, min-p
trainer.py     SharedPrefixTrainer: TRL's GRPOTrainer with these in place of its generation and log-probabilities
dynamic.py     DynamicSampling: other prompts in place of groups whose answers all earn the same
visits.py      which prompts taught nothing of late, and rest
"""
