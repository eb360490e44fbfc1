"""A vocabulary that grew by 8 tokens, against transformers' own resize_token_embeddings."""

import pytest
import torch
from support import assert_same, statuses

OLD, GROWTH = 60, 8
NEW = OLD + GROWTH
BERT = {"word_embeddings": "bert.embeddings.word_embeddings.weight",
        "decoder": "cls.predictions.decoder.weight", "bias": "cls.predictions.bias",
        "decoder_bias": "cls.predictions.decoder.bias"}
GPT2 = {"wte": "transformer.wte.weight", "lm_head": "lm_head.weight"}
# The models with the names that grow, and which of these are one tensor.
MODELS = {"bert": (list(BERT.values()), [(BERT["word_embeddings"], BERT["decoder"]),
                                         (BERT["bias"], BERT["decoder_bias"])]),
          "gpt2": (list(GPT2.values()), [tuple(GPT2.values())])}


def language_model(kind, vocabulary, seed):
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    if kind == "bert":
        config = BertConfig(vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2,
                            num_attention_heads=2, intermediate_size=64, max_position_embeddings=40)
        model = BertForMaskedLM(config)
    else:
        config = GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=2, n_positions=40,
                            bos_token_id=0, eos_token_id=0)
        model = GPT2LMHeadModel(config)
    # The biases too, which would all be zeros.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.1)
    return model.eval()


def spec(names, case):
    return (f"regraft: 1\npolicy:\n  shape:\n    - match: {{exact: {names}}}\n"
            f"      do: pad\n      dims: [0]\n      {case}\n")


def tied(state, pairs):
    """Whether each pair is one tensor, in memory and in form."""
    return [(state[a].data_ptr(), state[a].shape, state[a].stride())
            == (state[b].data_ptr(), state[b].shape, state[b].stride()) for a, b in pairs]


@pytest.fixture(params=MODELS)
def grown(request, regraft):
    """A model, what transformers makes of it, the migrated state and its report."""
    kind, (names, pairs) = request.param, MODELS[request.param]
    model, theirs = language_model(kind, OLD, 0), language_model(kind, OLD, 0)
    target = language_model(kind, NEW, 1)
    theirs.resize_token_embeddings(NEW, mean_resizing=False)
    torch.save(model.state_dict(), regraft.folder / "old.pt")
    torch.save(target.state_dict(), regraft.folder / "new.pt")
    report = regraft.apply(spec(names, "fill: keep"), "old.pt", "new.pt", "grown.pt")
    state = torch.load(regraft.folder / "grown.pt", weights_only=True)
    return {"kind": kind, "names": names, "pairs": pairs, "model": model, "theirs": theirs,
            "target": target.state_dict(), "state": state, "report": report}


def test_rows_are_those_of_transformers(grown):
    theirs, state, names = grown["theirs"].state_dict(), grown["state"], grown["names"]
    assert list(state) == list(theirs)
    assert_same({name: tensor[:OLD] if name in names else tensor for name, tensor in state.items()},
                {name: tensor[:OLD] if name in names else tensor for name, tensor in theirs.items()})
    for name in names:
        assert state[name].shape == theirs[name].shape
        # New rows are of the target; transformers draws its own.
        assert torch.equal(state[name][OLD:], grown["target"][name][OLD:]), name
    assert {name for name, status in statuses(grown["report"]).items() if status == "adapted"} \
        == set(names)


def test_ties_stay(grown):
    assert tied(grown["theirs"].state_dict(), grown["pairs"]) == [True] * len(grown["pairs"])
    assert tied(grown["state"], grown["pairs"]) == [True] * len(grown["pairs"])
    assert not any(one["untied"] for one in grown["report"]["tensors"])


def test_the_model_goes_on(grown):
    model = language_model(grown["kind"], NEW, 2)
    model.load_state_dict(grown["state"], strict=True)
    ids = torch.arange(OLD - 24, OLD).reshape(2, 12)
    with torch.no_grad():
        before, theirs, after = (one(input_ids=ids).logits
                                 for one in (grown["model"], grown["theirs"], model))
        assert after.shape == (2, 12, NEW)
        assert torch.equal(after[..., :OLD], theirs[..., :OLD])
        torch.testing.assert_close(after[..., :OLD], before)
        with_new = model(input_ids=torch.arange(OLD - 4, NEW)[None]).logits
    assert with_new.isfinite().all()


@pytest.mark.parametrize("kind", MODELS)
def test_a_tie_in_the_target_is_enough(regraft, kind):
    """A checkpoint that holds one of the tied names: the other follows, resized as the first."""
    names, pairs = MODELS[kind]
    model, target = language_model(kind, OLD, 0), language_model(kind, NEW, 1)
    second = {pair[1] for pair in pairs}
    torch.save({name: tensor for name, tensor in model.state_dict().items() if name not in second},
               regraft.folder / "old.pt")
    torch.save(target.state_dict(), regraft.folder / "new.pt")
    report = regraft.apply(spec(names, "fill: 0.5"), "old.pt", "new.pt", "grown.pt")
    state = torch.load(regraft.folder / "grown.pt", weights_only=True)
    assert tied(state, pairs) == [True] * len(pairs)
    expected = model.state_dict()
    for name in names:
        rest = torch.full((GROWTH, *expected[name].shape[1:]), 0.5)
        expected[name] = torch.cat([expected[name], rest])
    assert_same(state, expected)
    assert {statuses(report)[name] for name in names} == {"adapted"}
    target.load_state_dict(state, strict=True)
