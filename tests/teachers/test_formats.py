"""Checkpoints of other repositories: recognised by keys and shapes, loaded, and computing what they compute there."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

from atesc_core.errors import TeacherError
from atesc_core.models import ARCHITECTURES, build
from atesc_core.teachers.files import header
from atesc_core.teachers.normalisation import NORMALISATIONS, read_normalisation, usual_normalisation
from atesc_core.teachers.staging import StagedTeacher
from tests.support.published_weights import PUBLISHED, cmi_vgg, ntl_vgg13, resnet34, wrn
from tests.support.users_files import list_users_file, read_users_file, recognise_users_file

CLASSES = 4

pytestmark = pytest.mark.usefixtures("weights_read_here")


@pytest.mark.parametrize("which", PUBLISHED)
def test_a_published_checkpoint_is_recognised_and_computes_what_it_did(tmp_path, which):
    make, logits, arch, side = PUBLISHED[which]
    state = make(CLASSES)
    path = tmp_path / "published.pth"
    torch.save(state, path)
    found = recognise_users_file(path)
    assert (found.num_classes, found.says_normalisation) == (CLASSES, False)
    assert found.architectures[0] == arch
    assert len(found.architectures) == (4 if "imagenet" in arch else 1)  # stems that names do not tell apart
    model = read_users_file(path, arch, normalisation="cifar10")
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in NORMALISATIONS["cifar10"])
    with torch.no_grad():
        theirs, ours = logits(state, (x - mean) / std), model(x)
    assert theirs.std() > 1e-3
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * theirs.abs().max().item())
    assert model.features(x).shape == (2, model.head.in_features)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_this_labs_own_files_are_recognised(tmp_path, arch):
    path = tmp_path / "own.safetensors"
    save_file(build(arch, CLASSES).state_dict(), path, header(arch=arch))
    found = recognise_users_file(path)
    assert (found.arch, found.num_classes, found.source, found.says_normalisation) == (arch, CLASSES, "this lab", True)


@pytest.fixture
def published():
    return wrn(CLASSES, blocks=2)


def test_the_training_checkpoint_of_cmi_loads(tmp_path, published):
    """What its train_scratch.py saves, from a DataParallel model: the optimiser and the scheduler come along."""
    path = tmp_path / "cifar10_wrn16_2.pth"
    weight = torch.nn.Parameter(torch.zeros(3))
    weight.grad = torch.ones(3)
    optimiser = torch.optim.SGD([weight], 0.1, momentum=0.9)
    optimiser.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [120], 0.1)
    torch.save(
        {
            "epoch": 200,
            "arch": "wrn16_2",
            "best_acc1": 93.9,
            "optimizer": optimiser.state_dict(),
            "scheduler": schedule.state_dict(),
            "state_dict": {f"module.{key}": value for key, value in published.items()},
        },
        path,
    )
    assert recognise_users_file(path).arch == "wrn_16_2"
    assert torch.equal(read_users_file(path, "wrn_16_2").head.weight, published["fc.weight"])


@pytest.mark.parametrize("change", ["legacy file", "half precision", "no batch counts", "safetensors", "upper-case"])
def test_other_ways_of_saving_the_same_weights(tmp_path, published, change):
    path = tmp_path / {"safetensors": "t.safetensors", "upper-case": "T.PTH"}.get(change, "t.pth")
    if change == "half precision":
        published = {key: value.half() if value.is_floating_point() else value for key, value in published.items()}
    if change == "no batch counts":  # PyTorch before 0.4.1
        published = {key: value for key, value in published.items() if "num_batches" not in key}
    if change == "safetensors":
        save_file(published, path)
    else:
        torch.save(published, path, _use_new_zipfile_serialization=change != "legacy file")
    model = read_users_file(path, recognise_users_file(path).arch)
    assert torch.equal(model.head.weight, published["fc.weight"].float())
    assert model.head.weight.dtype is torch.float32


@pytest.mark.parametrize(
    ("classes", "make", "usual"),
    [
        (10, lambda n: wrn(n, 2), "cifar10"),
        (100, lambda n: wrn(n, 2), "cifar100"),
        (7, lambda n: wrn(n, 2), "half"),
        (10, lambda n: ntl_vgg13(n, 32), "imagenet"),
    ],
)
def test_the_normalisation_that_is_usual_there_is_offered_and_taken(tmp_path, classes, make, usual):
    path = tmp_path / "t.pth"
    torch.save(make(classes), path)
    found = recognise_users_file(path)
    assert found.normalisation() == usual
    model = read_users_file(path, found.arch)
    assert (tuple(model.mean.flatten().tolist()), tuple(model.std.flatten().tolist())) == tuple(
        pytest.approx(values) for values in NORMALISATIONS[usual]
    )


def test_a_normalisation_by_hand(tmp_path, published):
    assert read_normalisation("0.1, 0.2, 0.3, 1, 2, 3") == ((0.1, 0.2, 0.3), (1, 2, 3))
    torch.save(published, tmp_path / "t.pth")
    model = read_users_file(tmp_path / "t.pth", "wrn_16_2", normalisation="0.1,0.2,0.3,1,2,3")
    assert model.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert model.std.flatten().tolist() == [1, 2, 3]


@pytest.mark.parametrize("text", ["", "cifar", "1,2,3", *(f"0,0,0,1,1,{bad}" for bad in ("0", "-1", "nan", "inf"))])
def test_a_wrong_normalisation_is_named(text):
    with pytest.raises(TeacherError, match="normalisation: .*expected one of half, cifar10"):
        read_normalisation(text)


def test_a_file_that_says_its_normalisation_is_not_overruled(tmp_path):
    save_file(build("small", 4).state_dict(), tmp_path / "t.safetensors")
    with pytest.raises(TeacherError, match="says its own normalisation"):
        read_users_file(tmp_path / "t.safetensors", "small", normalisation="cifar10")


@pytest.mark.parametrize(
    ("make", "change", "says"),
    [
        (resnet34, {"surprise": torch.zeros(1)}, r"not resnet34: unexpected surprise"),
        (resnet34, {"layer2.0.shortcut.1.bias": None}, r"not resnet34: missing layer2\.0\.shortcut\.1\.bias"),
        (
            lambda n: wrn(n, 6),
            {"block1.layer.3.conv1.weight": torch.zeros(32, 32, 5, 5)},
            r"block1\.layer\.3\.conv1\.weight has shape \(32, 32, 5, 5\); wrn_40_2 expects \(32, 32, 3, 3\)",
        ),
        (
            lambda n: ntl_vgg13(n, 64),
            {"classifier1.0.weight": torch.zeros(256, 4608)},
            r"classifier1\.0\.weight has shape \(256, 4608\); vgg13_dense32 expects \(256, 512\)",
        ),
        (
            lambda n: ntl_vgg13(n, 32),
            {"features.22.bias": torch.zeros(512, dtype=torch.long)},
            r"features\.22\.bias holds the wrong kind of numbers; vgg13_dense32 expects torch\.float32",
        ),
        (
            lambda n: cmi_vgg(n, ((64,), (128,), (256, 256), (512, 512), (512, 512)), True),
            {"block4.3.weight": None},
            r"not vgg11_bn: missing block4\.3\.weight",
        ),
    ],
)
def test_the_nearest_architecture_and_the_difference_are_named(tmp_path, make, change, says):
    state = {key: value for key, value in (make(CLASSES) | change).items() if value is not None}
    torch.save(state, tmp_path / "t.pth")
    with pytest.raises(TeacherError, match=says):
        recognise_users_file(tmp_path / "t.pth")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("fc.bias", torch.tensor([0.0, 0.0, float("nan"), 0.0]), "fc.bias holds NaN or infinite"),
        ("fc.bias", torch.tensor([0.0, 1e300, 0.0, 0.0], dtype=torch.double), "fc.bias holds NaN or infinite"),
        ("bn1.running_var", torch.full((128,), -1.0), "bn1.running_var holds -1; expected positive"),
        ("fc.weight", torch.zeros(20_000, 128), r"fc.weight has shape \(20000, 128\); expected 2 to 10000 classes"),
        ("fc.weight", torch.zeros(4), r"fc.weight has shape \(4,\); expected"),
        ("fc.weight", torch.zeros(1).expand(4, 10**9), "16,003 MB of weights; expected at most 537 MB"),
        ("fc.weight", torch.eye(4, 128).to_sparse(), "fc.weight is sparse, quantised or empty; expected"),
        ("fc.weight", "four", "fc.weight is a str; expected a dict of names to tensors"),
    ],
)
def test_hostile_values_in_a_published_checkpoint(tmp_path, published, key, value, says):
    torch.save({"state_dict": published | {key: value}}, tmp_path / "t.pth")
    with pytest.raises(TeacherError, match=says):
        read_users_file(tmp_path / "t.pth", "wrn_16_2")


def test_one_tensor_under_two_names_is_refused(tmp_path):
    state = resnet34(CLASSES, imagenet=True)
    state["layer2.0.shortcut.0.weight"] = state["layer2.0.downsample.0.weight"]
    torch.save(state, tmp_path / "t.pth")
    with pytest.raises(TeacherError, match="same tensor twice"):
        recognise_users_file(tmp_path / "t.pth")


def test_a_file_without_a_head_says_what_was_found(tmp_path):
    torch.save({"encoder.weight": torch.zeros(2, 2)}, tmp_path / "t.pth")
    with pytest.raises(TeacherError, match=r"found encoder\.weight; expected the keys of a listed architecture"):
        recognise_users_file(tmp_path / "t.pth")


def test_a_name_out_of_a_file_is_no_markup_and_no_flood(tmp_path):
    torch.save({"![x](http://x)\n" + "a" * 250: torch.zeros(1)}, tmp_path / "t.pth")
    with pytest.raises(TeacherError) as error:
        recognise_users_file(tmp_path / "t.pth")
    assert "found ??x??http???x??aaa" in str(error.value)
    assert len(str(error.value)) < 400


def test_class_names_come_from_the_user_the_file_or_the_pair(tmp_path):
    state = build("small", 10).state_dict()
    spoken = [f"digit {at}" for at in range(10)]
    torch.save({"state_dict": state, "class_names": spoken}, tmp_path / "says.pt")
    torch.save(state, tmp_path / "silent.pt")
    assert recognise_users_file(tmp_path / "says.pt").class_names == tuple(spoken)

    def names(file: str, name: str, typed: tuple[str, ...] | None = None):
        checked = StagedTeacher(tmp_path / file).check("SL", "mnistm-mnist", "small", 16, class_names=typed)
        return checked.add(name, tmp_path).class_names

    assert names("says.pt", "a") == tuple(spoken)
    assert names("silent.pt", "b") == tuple("0123456789")
    assert names("says.pt", "c", tuple("abcdefghij")) == tuple("abcdefghij")
    with pytest.raises(TeacherError, match="class_names: 2 names; expected 10"):
        names("silent.pt", "d", ("a", "b"))


@pytest.mark.parametrize(
    ("said", "names", "side"),
    [
        ({"class_names": '["a", "b", "c", "d"]', "image_side": "16"}, tuple("abcd"), 16),
        ({}, None, None),
        ({"class_names": "a, b, c, d", "image_side": "sixteen"}, None, None),
        ({"class_names": "[1, 2, 3, 4]", "image_side": "-16"}, None, None),
        ({"class_names": "[" * 100_000, "image_side": "9" * 5000}, None, None),
    ],
    ids=["said", "unsaid", "other words", "numbers", "hostile"],
)
def test_a_safetensors_header_may_say_classes_and_image_side(tmp_path, said, names, side):
    path = tmp_path / "own.safetensors"
    save_file(build("small", CLASSES).state_dict(), path, said)
    found = recognise_users_file(path)
    assert (found.arch, found.class_names, found.image_side) == ("small", names, side)


def torchvision_logits(state, x: torch.Tensor, stride: int, pool: bool) -> torch.Tensor:
    """A ResNet-18 of torchvision's names, whose first convolution has this stride, with or without its max-pooling."""

    def norm(x, name):
        parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts)

    x = F.conv2d(x, state["conv1.weight"], stride=stride, padding=state["conv1.weight"].shape[-1] // 2)
    x = F.relu(norm(x, "bn1"))
    x = F.max_pool2d(x, 3, 2, 1) if pool else x
    for layer in range(1, 5):
        for index in range(2):
            block = f"layer{layer}.{index}"
            step = 2 if index == 0 and layer > 1 else 1
            y = F.relu(norm(F.conv2d(x, state[f"{block}.conv1.weight"], stride=step, padding=1), f"{block}.bn1"))
            y = norm(F.conv2d(y, state[f"{block}.conv2.weight"], padding=1), f"{block}.bn2")
            if f"{block}.downsample.0.weight" in state:
                x = norm(F.conv2d(x, state[f"{block}.downsample.0.weight"], stride=step), f"{block}.downsample.1")
            x = F.relu(x + y)
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


def torchvision_resnet18(kernel: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=CLASSES)
    model.conv1 = torch.nn.Conv2d(3, 64, kernel, 1, kernel // 2, bias=False)
    for value in model.buffers():
        value.data = value.data + torch.rand_like(value.float()).to(value.dtype) if value.is_floating_point() else value
    return model.state_dict()


@pytest.mark.parametrize("kernel", [3, 7])
def test_stems_that_names_and_shapes_do_not_tell_apart_are_all_offered(tmp_path, kernel):
    """A 3×3 stem whose max-pooling is kept was loaded without it: other labels on one image in five."""
    state = torchvision_resnet18(kernel)
    torch.save(state, tmp_path / "t.pth")
    found = recognise_users_file(tmp_path / "t.pth")
    assert found.arch is None
    published = {3: "resnet18", 7: "resnet18_imagenet"}[kernel]
    assert found.architectures[0] == published
    assert len(found.architectures) == 4
    x = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    expected = {
        (1, False): f"resnet18_k{kernel}s1",
        (1, True): f"resnet18_k{kernel}s1_pool",
        (2, False): f"resnet18_k{kernel}s2",
        (2, True): f"resnet18_k{kernel}s2_pool",
    } | ({(1, False): "resnet18"} if kernel == 3 else {(2, True): "resnet18_imagenet"})
    assert set(expected.values()) == set(found.architectures)
    for (stride, pool), arch in expected.items():
        model = read_users_file(tmp_path / "t.pth", arch, "half")
        with torch.no_grad():
            assert torch.allclose(model(x), torchvision_logits(state, 2 * x - 1, stride, pool), rtol=1e-3, atol=1e-4)


def test_a_file_that_fits_several_is_never_guessed(tmp_path):
    torch.save(torchvision_resnet18(3), tmp_path / "t.pth")
    staged = StagedTeacher(tmp_path / "t.pth")
    with pytest.raises(TeacherError, match=r"fit several architectures.*resnet18, resnet18_k3s1_pool.*name one"):
        staged.read()
    assert staged.read("resnet18_k3s1_pool").num_classes == CLASSES


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "net.", "model._orig_mod.", "module.model.backbone_net.", "1."]
)
def test_a_prefix_of_the_networks_names_is_removed(tmp_path, published, prefix):
    torch.save({prefix + key: value for key, value in published.items()}, tmp_path / "t.pth")
    assert torch.equal(read_users_file(tmp_path / "t.pth", "wrn_16_2").head.weight, published["fc.weight"])


@pytest.mark.parametrize("names", [("0.mean", "0.std"), ("normalize.mean", "normalize.std"), ("mu", "sigma")])
def test_a_layer_that_normalises_is_the_normalisation(tmp_path, published, names):
    state = {f"1.{key}": value for key, value in published.items()}
    state |= {names[0]: torch.tensor([0.1, 0.2, 0.3]), names[1]: torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)}
    torch.save(state, tmp_path / "t.pth")
    found = recognise_users_file(tmp_path / "t.pth")
    assert (found.arch, found.says_normalisation) == ("wrn_16_2", True)
    model = read_users_file(tmp_path / "t.pth", "wrn_16_2")
    assert model.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert model.std.flatten().tolist() == [1, 2, 3]


def test_two_networks_in_one_file_are_named(tmp_path, published):
    both = {f"{name}.{key}": value for name in ("student", "ema") for key, value in published.items()}
    torch.save(both, tmp_path / "t.pth")
    with pytest.raises(TeacherError, match=r"holds 2 networks, under ema\., student\."):
        recognise_users_file(tmp_path / "t.pth")


@pytest.mark.parametrize("suffix", [".pth", ".pth.tar", ".ckpt", ".bin"])
def test_what_a_training_script_stores_beside_the_weights_is_no_obstacle(tmp_path, published, suffix):
    content = {
        "args": Namespace(lr=0.1, gpus=[0, 1]),
        "best": np.float64(93.2),
        "history": np.arange(3.0),
        "state_dict_ema": {key: value + 1 for key, value in published.items() if value.is_floating_point()},
        "state_dict": published,
    }
    torch.save(content, tmp_path / f"t{suffix}")
    listing = list_users_file(tmp_path / f"t{suffix}")
    assert (listing.entry, listing.other_entries) == ("state_dict", ("state_dict_ema",))
    model = read_users_file(tmp_path / f"t{suffix}", "wrn_16_2")
    assert torch.equal(model.head.weight, published["fc.weight"])


@pytest.mark.parametrize("entry", ["model_state_dict", "net", "model", "teacher_weights"])
def test_weights_under_another_name_are_found(tmp_path, published, entry):
    torch.save({"epoch": 3, entry: published}, tmp_path / "t.pth")
    assert list_users_file(tmp_path / "t.pth").entry == entry


def test_a_wider_network_is_told_from_another_kind(tmp_path):
    """The nearest was found by the number of tensors: a wide ResNet was nearest to the smallest network."""
    state = torchvision.models.resnet18(num_classes=CLASSES, width_per_group=64).state_dict()
    wide = {key: torch.cat([value, value]) if value.ndim == 4 else value for key, value in state.items()}
    torch.save(wide, tmp_path / "t.pth")
    with pytest.raises(TeacherError, match=r"nearest: .*resnet18"):
        recognise_users_file(tmp_path / "t.pth")


@pytest.mark.parametrize(
    ("source", "classes", "domain", "usual"),
    [
        ("CMI and NAYER", 10, None, "cifar10"),
        ("CMI and NAYER", 10, "cifar10", "cifar10"),
        ("CMI and NAYER", 10, "mnistm", "half"),
        ("NTLBench and TransNTL", 10, "mnistm", "imagenet"),
        ("this lab", 10, "cifar10", "half"),
    ],
)
def test_the_usual_normalisation_depends_on_the_domain(source, classes, domain, usual):
    assert usual_normalisation(source, classes, domain) == usual
