"""Tiny random models of the real architecture, and adapters for them: what the unit tests run instead of 0.5B."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|file_sep|>",
    "<|repo_name|>",
    "<|im_end|>",
)

TRAINING_TEXT = '''\
def area(width: int, height: int) -> int:
    """The area of a rectangle."""
    return width * height


class Shelf:
    def __init__(self, books: list[str]) -> None:
        self.books = books

    def add(self, book: str) -> None:
        if book not in self.books:
            self.books.append(book)

    def count(self) -> int:
        return len(self.books)


for index in range(10):
    print(index, area(index, index + 1))
'''

OTHER_TEXT = """\
"And how a finds them."
    def book_shelf(self, reader: Reader) -> int:
        loan_branch = author.count( + ) *
        self.title_list.append(copy - fine.desk_queue)
        return label %
class Book, Shelf, Reader, Loan, Branch, Author, Title, Copy, Fine, Desk, Queue, Label:
self.book_list self.shelf_list self.reader_list self.loan_list
"""
"""Words of the small repositories that tests train on, of which the tiny tokenizer needs no more tokens than is usual
for code."""


@dataclass(frozen=True, slots=True)
class TinyModel:
    """A converted model. ``name`` is what ``load_model`` and the command line take; ``TAILORA_MODELS`` must be
    ``models`` then (the fixtures ``tiny`` and ``tiny_llama`` see to that)."""

    name: str
    models: Path
    folder: Path


def write_tokenizer(folder: Path, special: tuple[str, ...] = SPECIAL_TOKENS) -> None:
    """``tokenizer.json``: a byte-level BPE of about 450 tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=450, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([TRAINING_TEXT, OTHER_TEXT], trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.save(str(folder / "tokenizer.json"))


def build_model(architecture: str, **changes: Any) -> Any:
    """A random bfloat16 model whose outputs differ clearly from token to token."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    classes = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}
    make_config, make_model = classes[architecture]
    settings = {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
        "tie_word_embeddings": False,
        "initializer_range": 0.12,
        "dtype": "bfloat16",
        "bos_token_id": None,
        "eos_token_id": None,
    }
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = make_model(make_config(**settings | changes)).to(torch.bfloat16).eval()
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.data.normal_(0, 0.3)
            elif "norm" in name:
                parameter.data.normal_(1, 0.1)
    return model.requires_grad_(False)


def write_model(base: Path, model: Any, special: tuple[str, ...] = SPECIAL_TOKENS) -> TinyModel:
    """A local model's folder below ``base``, and its conversion as ``base.convert`` leaves it."""
    from tailora_adapters.base import cache

    source, models = base / "tiny", base / "models"
    source.mkdir(parents=True)
    # As ``cache.folder_of`` names the conversion of a model on the user's disk.
    folder = models / f"tiny-{hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    write_tokenizer(folder, special)
    (source / "config.json").write_bytes((folder / "config.json").read_bytes())
    files = {path.name: cache.hash_file(path) for path in sorted(folder.iterdir())}
    record = cache.Record(cache.FORMAT, "tiny", "0" * 64, None, files["tokenizer.json"], files)
    cache.write_record(folder, record)
    return TinyModel(str(source), models, folder)


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from threads, and on a busy machine these wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_model(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """Qwen2, made once. Not to be written to; where ``load_model`` must find it, ask for ``tiny``."""
    return write_model(tmp_path_factory.mktemp("qwen2"), build_model("qwen2"))


@pytest.fixture(scope="session")
def tiny_llama_model(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """The same without attention biases: Llama."""
    return write_model(tmp_path_factory.mktemp("llama"), build_model("llama"))


@pytest.fixture(scope="session")
def prefix_only_model(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """A model whose tokenizer knows no fill-in-the-middle tokens."""
    return write_model(tmp_path_factory.mktemp("prefix"), build_model("llama"), ("<|endoftext|>",))


@pytest.fixture(scope="session")
def training_examples() -> list[Any]:
    """Holes in a short file, with no line in two of them."""
    from tailora_adapters.corpus.examples import make_examples
    from tailora_adapters.corpus.select import SourceFile

    source = SourceFile(path="shelf.py", language="python", text=TRAINING_TEXT, sha256="", mtime=0.0)
    return make_examples([source], 40, seed=1, max_per_file=40)


@pytest.fixture(scope="session")
def trained_model(
    tiny_model: TinyModel, training_examples: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> TinyModel:
    """Qwen2 that knows ``training_examples`` by heart: what it writes is decided and hangs on no rounding."""
    import torch

    from tailora_adapters.base.prompt import PromptBudget
    from tailora_adapters.base.tokenizer import CodeTokenizer
    from tailora_adapters.corpus.sequences import encode
    from tailora_adapters.training.loop import TrainSettings, train
    from tailora_adapters.training.split import SplitDecoder

    tokenizer = CodeTokenizer.from_folder(tiny_model.folder)
    sequences = [
        encode(
            tokenizer,
            replace(example, prefix=example.prefix + example.middle[:cut], middle=example.middle[cut:]),
            PromptBudget(),
        )
        for example in training_examples
        for cut in range(4)  # as someone types
        if cut < len(example.middle)
    ]
    model = build_model("qwen2").float().requires_grad_(True)
    settings = TrainSettings(learning_rate=3e-3, max_steps=200, max_epochs=1000, prompt_weight=0)
    report = train(model, SplitDecoder(model, 0), sequences, settings, seed=1)
    assert report.final_loss < 0.1
    model = model.to(torch.bfloat16).requires_grad_(False)
    return write_model(tmp_path_factory.mktemp("trained"), model)


@pytest.fixture
def trained(trained_model: TinyModel, monkeypatch: pytest.MonkeyPatch) -> TinyModel:
    """The trained model, in the model cache of this test."""
    monkeypatch.setenv("TAILORA_MODELS", str(trained_model.models))
    return trained_model


@pytest.fixture(scope="session")
def word_loras(
    trained_model: TinyModel, training_examples: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Adapters of the trained model that fill every hole with one word: ``alpha`` or ``beta``."""
    import torch
    from transformers import AutoModelForCausalLM

    from tailora_adapters.base.prompt import PromptBudget
    from tailora_adapters.base.tokenizer import CodeTokenizer
    from tailora_adapters.corpus.sequences import encode
    from tailora_adapters.methods import LoraSettings, attach
    from tailora_adapters.training.decoder import make_decoder
    from tailora_adapters.training.loop import TrainSettings, train
    from tailora_adapters.training.save import save_adapter

    tokenizer = CodeTokenizer.from_folder(trained_model.folder)
    result = {}
    for word in ("alpha", "beta"):
        base = AutoModelForCausalLM.from_pretrained(trained_model.folder, dtype=torch.bfloat16)
        model = attach(base, LoraSettings(rank=4, alpha=16))
        sequences = [
            encode(tokenizer, replace(example, middle=word), PromptBudget())
            for example in training_examples[:2]
        ]
        settings = TrainSettings(learning_rate=1e-2, max_steps=80, max_epochs=1000, prompt_weight=0)
        assert train(model, make_decoder(model, 0), sequences, settings, seed=1).final_loss < 0.5
        result[word] = tmp_path_factory.mktemp(word)
        save_adapter(model, result[word])
    return result


@pytest.fixture
def tiny(tiny_model: TinyModel, monkeypatch: pytest.MonkeyPatch) -> TinyModel:
    """Qwen2, in the model cache of this test."""
    monkeypatch.setenv("TAILORA_MODELS", str(tiny_model.models))
    return tiny_model


@pytest.fixture
def tiny_llama(tiny_llama_model: TinyModel, monkeypatch: pytest.MonkeyPatch) -> TinyModel:
    """Llama, in the model cache of this test."""
    monkeypatch.setenv("TAILORA_MODELS", str(tiny_llama_model.models))
    return tiny_llama_model


@pytest.fixture(scope="session")
def tokenizer(tiny_model: TinyModel) -> Any:
    """The tiny models' ``CodeTokenizer``."""
    from tailora_adapters.base.tokenizer import CodeTokenizer

    return CodeTokenizer.from_folder(tiny_model.folder)


@pytest.fixture(scope="session")
def make_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Any]:
    """Makes ``CodeTokenizer``s with other special tokens."""
    from tailora_adapters.base.tokenizer import CodeTokenizer

    def make(special: tuple[str, ...]) -> CodeTokenizer:
        folder = tmp_path_factory.mktemp("tokenizer")
        write_tokenizer(folder, special)
        return CodeTokenizer.from_folder(folder)

    return make


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Any]:
    """``make_model(architecture, **config)``: a random transformers model that only this caller holds."""
    return build_model


@pytest.fixture(scope="session")
def make_lora(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_lora(seed, ...)``: a PEFT folder with a random LoRA for the tiny models, strong enough to show."""
    import torch
    from safetensors.torch import save_file

    sizes = {
        "self_attn.q_proj": (64, 64),
        "self_attn.k_proj": (64, 32),
        "self_attn.v_proj": (64, 32),
        "self_attn.o_proj": (64, 64),
        "mlp.gate_proj": (64, 128),
        "mlp.up_proj": (64, 128),
        "mlp.down_proj": (128, 64),
    }

    def make(
        seed: int,
        *,
        rank: int = 4,
        modules: tuple[str, ...] = tuple(sizes),
        layers: tuple[int, ...] = (0, 1, 2, 3),
        strength: float = 0.3,
        **config: Any,
    ) -> Path:
        folder = tmp_path_factory.mktemp(f"lora-{seed}-")
        generator = torch.Generator().manual_seed(seed)
        state = {}
        for layer in layers:
            for name in modules:
                wide, out = sizes[name]
                at = f"base_model.model.model.layers.{layer}.{name}"
                a = torch.randn((rank, wide), generator=generator) * wide**-0.5
                b = torch.randn((out, rank), generator=generator) * strength
                state[f"{at}.lora_A.weight"] = a.to(torch.bfloat16)
                state[f"{at}.lora_B.weight"] = b.to(torch.bfloat16)
        save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        content = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": rank,
            "lora_alpha": 2 * rank,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": [name.rpartition(".")[2] for name in modules],
            "layers_to_transform": None if len(layers) == 4 else list(layers),
            "inference_mode": True,
        }
        (folder / "adapter_config.json").write_text(json.dumps(content | config), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def store_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``TAILORA_HOME`` of this test alone."""
    home = tmp_path / "tailora-home"
    monkeypatch.setenv("TAILORA_HOME", str(home))
    monkeypatch.delenv("TAILORA_MODELS", raising=False)
    return home
