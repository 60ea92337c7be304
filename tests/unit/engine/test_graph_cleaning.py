"""Merging in a graph: what is merged, what must stay, and that the function never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocrdet.engine.graph_cleaning import clean_graph
from tests.unit.engine.steps import (
    BIAS,
    CHANNELS,
    Step,
    compute,
    make_conv,
    make_model,
    make_step,
    make_weights,
    number,
    operators,
)

if TYPE_CHECKING:
    pass

CLIP = ("s = Add x three", "c = Clip s zero six")
HARD_SWISH = {
    "multiplied, divided": (*CLIP, "p = Mul x c", "y = Div p six"),
    "the other way round": ("s = Add three x", "c = Clip s zero six", "p = Mul c x", "y = Mul sixth p"),
    "divided, multiplied": (*CLIP, "g = Div c six", "y = Mul x g"),
    "scaled, multiplied": (*CLIP, "g = Mul c sixth", "y = Mul g x"),
}


def assert_same(model: onnx.ModelProto, changes: int) -> None:
    """Cleaning makes so many changes, and none of them shows but as rounding."""
    before = compute(model)
    assert clean_graph(model) == changes
    for one, other in zip(before, compute(model), strict=True):
        assert np.ptp(one) > 0
        np.testing.assert_allclose(other, one, rtol=3e-6, atol=3e-6)


def assert_untouched(model: onnx.ModelProto) -> None:
    """Cleaning finds nothing, and leaves every byte in its place."""
    before = model.SerializeToString(deterministic=True)
    assert clean_graph(model) == 0
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("as_nodes", [False, True], ids=["initializers", "constant nodes"])
@pytest.mark.parametrize("steps", HARD_SWISH.values(), ids=HARD_SWISH)
def test_hard_swish_is_merged_however_it_is_written(steps: tuple[str, ...], as_nodes: bool) -> None:
    """Four or five steps become two."""
    model = make_model(steps, as_nodes=as_nodes)
    assert_same(model, 1)
    assert operators(model) == ["HardSigmoid", "Mul"]
    assert not model.graph.initializer


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1, 1)])
def test_a_number_may_have_axes(shape: tuple[int, ...]) -> None:
    """Exports write 3 and 6 as arrays of one; only bounds are scalars."""
    numbers = {"three": np.full(shape, 3, np.float32), "sixth": np.full(shape, 1 / 6, np.float32)}
    assert_same(make_model((*CLIP, "p = Mul x c", "y = Mul p sixth"), numbers), 1)


def test_a_hard_sigmoid_alone_is_merged() -> None:
    """The gate of squeeze and excitation."""
    model = make_model((*CLIP, "y = Div c six"))
    assert_same(model, 1)
    assert operators(model) == ["HardSigmoid"]


def test_all_of_a_row_are_merged() -> None:
    """What one merge leaves the next one finds."""
    steps: list[Step] = [
        *(*CLIP, "p = Mul x c", "h = Div p six"),
        *("s2 = Add h three", "c2 = Clip s2 zero six", "g2 = Mul c2 sixth", "y = Mul h g2"),
    ]
    model = make_model(steps)
    assert_same(model, 2)
    assert operators(model) == ["HardSigmoid", "Mul"] * 2


@pytest.mark.parametrize(
    ("steps", "outputs"),
    [
        (("s = Add x one", "c = Clip s zero six", "p = Mul x c", "y = Div p six"), ("y",)),
        (("s = Add x three", "c = Clip s zero three", "p = Mul x c", "y = Div p six"), ("y",)),
        (("s = Add x three", "c = Clip s one six", "p = Mul x c", "y = Div p six"), ("y",)),
        (("s = Add x three", "c = Clip s zero", "p = Mul x c", "y = Div p six"), ("y",)),
        ((*CLIP, "p = Mul x c", "y = Div p three"), ("y",)),
        ((*CLIP, "y = Div six c"), ("y",)),
        ((*CLIP, "p = Add x c", "y = Div p six"), ("y",)),
        ((*CLIP, "p = Mul c c", "y = Div p six"), ("y",)),
        ((*CLIP, "r = Relu x", "p = Mul r c", "y = Div p six"), ("y",)),
        ((*CLIP, "p = Mul x c"), ("p",)),
        ((*CLIP, "p = Mul x c", "y = Div p six", "z = Relu s"), ("y", "z")),
        ((*CLIP, "p = Mul x c", "y = Div p six", "z = Relu c"), ("y", "z")),
        ((*CLIP, "p = Mul x c", "y = Div p six", "z = Relu p"), ("y", "z")),
        ((*CLIP, "p = Mul x c", "y = Div p six"), ("y", "s")),
        ((*CLIP, "p = Mul x c", "y = Div p six"), ("y", "c")),
        ((*CLIP, "p = Mul x c", "y = Div p six"), ("y", "p")),
    ],
    ids=str,
)
def test_what_is_no_hard_swish_or_is_wanted_in_between_stays(
    steps: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    """Other numbers, other operators, and values that somebody else takes or that leave the graph."""
    assert_untouched(make_model(steps, outputs=outputs))


@pytest.mark.parametrize("name", ["three", "zero", "six"])
def test_a_number_that_a_caller_may_replace_is_no_constant(name: str) -> None:
    """An initializer that is an input as well."""
    model = make_model(HARD_SWISH["multiplied, divided"])
    model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
    assert_untouched(model)


PADS = [0, 1, "SAME_UPPER", "VALID"]
# How many groups, and the inputs of each.
GROUPS = {"full": (1, CHANNELS), "grouped": (2, CHANNELS // 2), "depthwise": (CHANNELS, 1)}
BEHIND = {
    "factor": ("y = Mul k a",),
    "term": ("y = Add b k",),
    "both": ("m = Mul a k", "y = Add m b"),
}
BEFORE = {"factor": ("m = Mul x a",), "term": ("m = Add b x",), "both": ("n = Mul a x", "m = Add n b")}


@pytest.mark.parametrize("pads", PADS)
@pytest.mark.parametrize(("group", "inputs"), GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("bias", ["", "bias"], ids=["no bias", "bias"])
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
def test_numbers_behind_a_convolution_go_into_it(
    pads: int | str, group: int, inputs: int, bias: str, behind: tuple[str, ...]
) -> None:
    """Into the weights and the bias, which it gets if it had none."""
    conv = make_conv(f"k = Conv x w {bias}", pads=pads, group=group)
    model = make_model([conv, *behind], {"w": make_weights(inputs), "bias": BIAS})
    assert_same(model, len(behind))
    assert operators(model) == ["Conv"]
    assert len(model.graph.initializer) == 2


@pytest.mark.parametrize("pads", PADS)
@pytest.mark.parametrize(("group", "inputs"), GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("bias", ["", "bias"], ids=["no bias", "bias"])
@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_numbers_before_a_convolution_go_into_it_but_for_terms_before_padding(
    pads: int | str, group: int, inputs: int, bias: str, before: tuple[str, ...]
) -> None:
    """What padding adds has not got the term; a factor in front of it is got past it all the same."""
    conv = make_conv(f"y = Conv m w {bias}", pads=pads, group=group)
    model = make_model([*before, conv], {"w": make_weights(inputs), "bias": BIAS})
    kept = "Add" in before[-1] and pads in {1, "SAME_UPPER"}
    assert_same(model, len(before) - kept)
    assert operators(model) == ["Add", "Conv"][not kept :]


def test_a_scaled_and_shifted_chain_of_convolutions_becomes_the_convolutions() -> None:
    """As PaddleOCR's blocks have them: an affine step with one pair of numbers behind each."""
    steps: list[Step] = [
        *(make_conv("k = Conv x w"), "m = Mul k a", "n = Add m b"),
        *(make_conv("l = Conv n v bias"), "p = Mul l b", "y = Add p a"),
    ]
    model = make_model(steps, {"w": make_weights(), "v": make_weights(), "bias": BIAS})
    assert_same(model, 4)
    assert operators(model) == ["Conv", "Conv"]


def test_weights_that_two_convolutions_share_stay_right_for_the_other() -> None:
    """Merging makes new weights and leaves those that somebody else takes."""
    steps: list[Step] = [make_conv("k = Conv x w bias"), "y = Mul k a", make_conv("z = Conv x w bias")]
    model = make_model(steps, {"w": make_weights(), "bias": BIAS}, outputs=("y", "z"))
    assert_same(model, 1)
    assert len(model.graph.initializer) == 4


@pytest.mark.parametrize(
    ("steps", "outputs"),
    [
        (("k = Conv x w", "y = Mul k vector"), ("y",)),
        (("k = Conv x w", "y = Add k vector"), ("y",)),
        (("m = Mul x vector", "y = Conv m w"), ("y",)),
        (("k = Conv x w", "y = Sub k a"), ("y",)),
        (("k = Conv x w", "y = Mul k k"), ("y",)),
        (("k = Conv x w", "y = Mul k a"), ("y", "k")),
        (("k = Conv x w", "y = Mul k a", "z = Relu k"), ("y", "z")),
        (("m = Mul x a", "y = Conv m w"), ("y", "m")),
        (("m = Mul x a", "y = Conv m w", "z = Relu m"), ("y", "z")),
        (("v = Relu w", "k = Conv x v", "y = Mul k a"), ("y",)),
    ],
    ids=str,
)
def test_what_is_no_single_number_or_is_wanted_in_between_stays(
    steps: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    """The engines merge vectors themselves; weights that are computed are not known."""
    vector = BIAS.reshape(CHANNELS, 1, 1)
    assert_untouched(make_model(steps, {"w": make_weights(), "vector": vector}, outputs=outputs))


def test_before_padding_a_factor_and_a_term_that_are_wanted_in_between_stay() -> None:
    """Where a x is taken by another, a (x + b / a) would be one step more and not one less."""
    steps: list[Step] = ["n = Mul x a", "m = Add n b", make_conv("y = Conv m w", pads=1), "z = Relu n"]
    assert_untouched(make_model(steps, {"w": make_weights()}, outputs=("y", "z")))


def test_a_factor_of_zero_before_a_term_and_padding_stays() -> None:
    """Nothing divides by it."""
    steps: list[Step] = ["n = Mul x zero", "m = Add n b", make_conv("y = Conv m w", pads=1)]
    assert_untouched(make_model(steps, {"w": make_weights()}))


@pytest.mark.parametrize(("gate", "changes"), [("Erf", 0), ("Tanh", 1)])
def test_a_gelu_stays_whole_for_the_engines(gate: str, changes: int) -> None:
    """They have one step for it, if nobody takes its half away; another gate's half is taken."""
    steps: list[Step] = ["d = Div x three", f"e = {gate} d", "f = Add e one", "g = Mul x f", "h = Mul g half"]
    model = make_model([*steps, make_conv("y = Conv h w")], {"w": make_weights()})
    assert_same(model, changes)
    assert len(operators(model)) == 6 - changes


def test_operators_from_before_clip_took_its_bounds_as_inputs_are_left_alone() -> None:
    """Opset 10: nothing is merged at all."""
    steps: list[Step] = [make_conv("k = Conv x w"), "y = Mul k a"]
    assert_untouched(make_model(steps, {"w": make_weights()}, opset=10))
    assert_same(make_model(steps, {"w": make_weights()}, opset=11), 1)


def test_a_graph_with_branches_is_left_alone() -> None:
    """They take values from around them that no list of inputs tells of: here the one in between."""
    branch = helper.make_graph(
        [make_step("r = Relu k")], "branch", [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    )
    choice = make_step("z = If yes", then_branch=branch, else_branch=branch)
    steps: list[Step] = [make_conv("k = Conv x w"), "y = Mul k a", choice]
    model = make_model(steps, {"w": make_weights(), "yes": np.array(True)}, outputs=("y", "z"))
    compute(model)
    assert_untouched(model)


def test_constants_that_leave_the_graph_or_may_be_replaced_stay_in_it() -> None:
    """Whatever is merged around them."""
    steps = (*HARD_SWISH["multiplied, divided"], "z = Add y b")
    model = make_model(steps, {"kept": BIAS}, outputs=("z", "kept"))
    model.graph.input.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, []))
    assert_same(model, 1)


def test_a_graph_that_was_cleaned_before_can_be_cleaned_again() -> None:
    """The names of the first time are not given twice."""
    model = make_model([make_conv("k = Conv x w"), "y = Mul k a"], {"w": make_weights()})
    assert_same(model, 1)
    model.graph.node.extend([make_conv("l = Conv y v"), make_step("z = Add l b")])
    model.graph.initializer.extend(
        numpy_helper.from_array(values, name) for name, values in (("v", make_weights()), ("b", number(0.3)))
    )
    model.graph.output[0].name = "z"
    assert_same(model, 1)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_row_of_such_steps_keeps_its_outputs(seed: int) -> None:
    """Convolutions, numbers, hard-swishes and sums with what was before, some of it leaving the graph."""
    rng = np.random.default_rng(seed)
    groups = list(GROUPS.values())
    constants = {f"w{number}": make_weights(inputs) for number, (_, inputs) in enumerate(groups)}
    # Without padding all grow smaller, and no sum with what was before is possible any more.
    constants |= {f"{name}:dot": weights[..., :1, :1] for name, weights in constants.items()} | {"bias": BIAS}
    values, steps = ["x"], list[Step]()
    for turn in range(12):
        last = values[-1] if rng.random() < 0.8 else str(rng.choice(values))
        result, kind = f"v{turn}", rng.choice(["Conv", "Mul", "Add", "HardSwish", "Sum"])
        if kind == "Conv":
            number = rng.integers(len(groups))
            dot, pads = ("", 1) if rng.random() < 0.5 else (":dot", 0)
            line = f"{result} = Conv {last} w{number}{dot} {rng.choice(['', 'bias'])}"
            steps.append(make_conv(line, pads=pads, group=groups[number][0]))
        elif kind in {"Mul", "Add"}:
            steps.append(f"{result} = {kind} {last} {rng.choice(['a', 'b', 'one'])}")
        elif kind == "Sum":
            steps.append(f"{result} = Add {last} {rng.choice(values)}")
        else:
            form = list(HARD_SWISH.values())[rng.integers(len(HARD_SWISH))]
            own = {name: f"{name}{turn}" for name in "scpg"} | {"x": last, "y": result}
            steps.extend(" ".join(own.get(word, word) for word in line.split()) for line in form)
        values.append(result)
    outputs = {values[-1], *(str(value) for value in rng.choice(values[1:], 2))}
    model = make_model(steps, constants, outputs=sorted(outputs))
    before, _ = compute(model), clean_graph(model)
    for one, other in zip(before, compute(model), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5 * np.abs(one).max())
