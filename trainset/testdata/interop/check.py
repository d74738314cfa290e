"""Loads training sets that Flywheel wrote with the libraries that trainers use.

    python check.py FOLDER...

Each folder is one training set, or holds some. Nothing is converted: what a library makes
of the files by itself has to be the rows that the others see. Ends with 1 if anything
differs.
"""

import collections
import datetime
import gzip
import hashlib
import io
import json
import pathlib
import sys

import datasets
import duckdb
import polars
import pyarrow.json
import pyarrow.parquet
import tokenizers
import transformers
import trl.data_utils
import yaml
import zstandard

datasets.disable_progress_bars()
datasets.disable_caching()

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c.function.name }} {{ c.function.arguments | tojson }}</call>{% endfor %}"
    "</s>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Different(Exception):
    """What was found is not what is needed."""


def need(condition, *what):
    if not condition:
        raise Different(" ".join(str(w) for w in what))


def opened(path):
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".zst":
        with open(path, "rb") as file:
            return io.BytesIO(zstandard.ZstdDecompressor().stream_reader(file).read())
    return open(path, "rb")


def shards(folder, manifest, split):
    return [folder / f["path"] for f in manifest["files"] if f["split"] == split]


def rows_of(folder, manifest, split):
    """The rows as Python's own JSON, or as pyarrow for Parquet, reads them."""
    for path in shards(folder, manifest, split):
        if manifest["format"] == "parquet":
            yield from pyarrow.parquet.read_table(path).to_pylist()
        else:
            with opened(path) as lines:
                for line in lines:
                    yield json.loads(line)


def plain(value, field):
    """A value as every encoding has it: missing is None, JSON is parsed."""
    if value is None:
        return None
    kind = field["type"]
    if kind == "json" and isinstance(value, str):
        return json.loads(value)
    if kind == "timestamp":
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.UTC)
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if kind == "list":
        return [plain(v, field["fields"][0]) for v in value]
    if kind == "struct":
        return {f["name"]: plain(value.get(f["name"]), f) for f in field["fields"]}
    if kind == "float64":
        return float(value)
    return value


def canonical(row, schema):
    return json.dumps([plain(row.get(f["name"]), f) for f in schema], sort_keys=True)


def digest(rows, schema):
    sum = hashlib.sha256()
    for row in rows:
        sum.update(canonical(row, schema).encode("utf-8", "surrogatepass"))
        sum.update(b"\n")
    return sum.hexdigest()


def check_manifest(folder, manifest):
    for file in manifest["files"]:
        data = (folder / file["path"]).read_bytes()
        need(len(data) == file["bytes"], file["path"], "has", len(data), "bytes")
        need(hashlib.sha256(data).hexdigest() == file["sha256"], file["path"], "has another SHA-256")
    for split in manifest["splits"]:
        n = sum(1 for _ in rows_of(folder, manifest, split["split"]))
        need(n == split["rows"], split["split"], "has", n, "rows")


def check_datasets(folder, manifest):
    """The card says where the splits are and what the columns are; both are taken."""
    card = yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])
    found = datasets.load_dataset(str(folder))
    wanted = {s["split"]: s["rows"] for s in manifest["splits"] if s["rows"]}
    need({name: len(d) for name, d in found.items()} == wanted, "splits", found, "wanted", wanted)
    names = [f["name"] for f in card["dataset_info"]["features"]]
    for split, rows in found.items():
        need(rows.column_names == names, split, "has the columns", rows.column_names)
        ours = rows_of(folder, manifest, split)
        for n, (a, b) in enumerate(zip(rows, ours, strict=True)):
            a, b = (canonical(row, manifest["schema"]) for row in (a, b))
            need(a == b, split, "row", n, "is", a[:500], "not", b[:500])
    return found


def check_pyarrow(folder, manifest):
    for split in manifest["splits"]:
        for path in shards(folder, manifest, split["split"]):
            if manifest["format"] == "parquet":
                need(pyarrow.parquet.ParquetFile(path).metadata.num_rows >= 0, path)
            elif path.suffix == ".jsonl" and format_of(manifest) != "messages":
                # Which has no type for arguments that differ from call to call.
                table = pyarrow.json.read_json(path, read_options=pyarrow.json.ReadOptions(block_size=1 << 26))
                need(table.num_rows > 0, path, "has no rows")


def check_duckdb(folder, manifest):
    for split in manifest["splits"]:
        paths = [str(p) for p in shards(folder, manifest, split["split"])]
        if not paths:
            continue
        how = "read_parquet" if manifest["format"] == "parquet" else "read_json"
        more = "" if how == "read_parquet" else ", maximum_object_size = 67108864"
        source = f"{how}({paths!r}{more})"
        found = duckdb.connect()
        [[count]] = found.execute(f"SELECT count(*) FROM {source}").fetchall()
        need(count == split["rows"], "rows", count)
        columns = [name for name, *_ in found.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
        compare_texts(folder, manifest, split["split"], columns, lambda name: [r[0] for r in found.execute(f'SELECT "{name}" FROM {source}').fetchall()])


def check_polars(folder, manifest):
    for split in manifest["splits"]:
        paths = shards(folder, manifest, split["split"])
        if not paths:
            continue
        if manifest["format"] == "parquet":
            found = polars.read_parquet(paths)
        else:
            if format_of(manifest) == "messages":
                continue  # it has no type for arguments that differ from call to call
            parts = [polars.read_ndjson(opened(p).read(), infer_schema_length=None) for p in paths]
            found = polars.concat(parts, how="diagonal_relaxed")
        need(len(found) == split["rows"], "rows", len(found))
        compare_texts(folder, manifest, split["split"], found.columns, lambda name: found[name].to_list())


def compare_texts(folder, manifest, split, columns, column):
    """Every column of text is what JSON says; ids may be recognised as such."""
    texts = [f["name"] for f in manifest["schema"] if f["type"] == "string"]
    rows = list(rows_of(folder, manifest, split))
    for name in texts:
        wanted = [row.get(name) for row in rows]
        if name not in columns:
            need(all(v is None for v in wanted), "no column", name)
            continue
        found = [v if v is None else str(v) for v in column(name)]
        if name.endswith("_at"):
            continue
        for n, (a, b) in enumerate(zip(found, wanted, strict=True)):
            need(a == b, split, name, "row", n, "is", repr(a)[:300], "not", repr(b)[:300])


def tokenizer():
    model = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>", eos_token="</s>")
    made.chat_template = CHAT_TEMPLATE
    return made


def check_trl(name, found):
    """What the trainers do with the columns before they train."""
    train = found["train"]
    row = train[0]
    if name == "supervised":  # SFTTrainer
        need({"prompt", "completion"} <= set(row) and not trl.data_utils.is_conversational(row), "not prompt and completion")
        need(isinstance(trl.data_utils.maybe_apply_chat_template(row, tokenizer())["prompt"], str), "no text")
    elif name == "messages":  # SFTTrainer
        for row in train:
            need(trl.data_utils.is_conversational(row), "not conversational:", str(row)[:300])
            example = {"messages": row["messages"]}
            if row["tools"] is not None:
                example["tools"] = json.loads(row["tools"])
            text = trl.data_utils.apply_chat_template(example, tokenizer())["text"]
            calls = [c["function"]["arguments"] for m in row["messages"] for c in m["tool_calls"] or []]
            need(text.count("<call>") >= len(calls), "calls are lost in", text[:300])
            need(all(isinstance(a, dict) for a in calls), "arguments are no objects:", calls[:1])
    elif name == "preference":  # DPOTrainer, RewardTrainer
        need({"prompt", "chosen", "rejected"} <= set(row), "no preference")
        need(not trl.data_utils.is_conversational(row), "conversational")
        pairs = train.select_columns(["prompt", "chosen", "rejected"])
        unpaired = trl.data_utils.unpair_preference_dataset(pairs)
        need(len(unpaired) == 2 * len(train), "unpaired", len(unpaired))
    elif name == "unpaired_preference":  # KTOTrainer
        need(all(isinstance(r["label"], bool) for r in train), "labels are no booleans")
    elif name == "reward":
        need(all(isinstance(r["score"], float) and -1 <= r["score"] <= 1 for r in train), "scores")
    elif name == "next_edit":
        need({"events", "input", "output", "rejected"} <= set(row), "no next edit")


def check_openai(name, folder, manifest):
    """The rules of OpenAI's fine-tuning files."""
    for split in manifest["splits"]:
        for n, row in enumerate(rows_of(folder, manifest, split["split"])):
            where = f"{split['split']} row {n}:"
            if name == "openai_chat":
                need(set(row) <= {"messages", "tools"}, where, set(row))
                check_messages(where, row["messages"])
            else:
                need(set(row) == {"input", "preferred_output", "non_preferred_output"}, where, set(row))
                check_messages(where, row["input"]["messages"])
                for output in (row["preferred_output"], row["non_preferred_output"]):
                    need(len(output) == 1 and output[0]["role"] == "assistant", where, output)
                    need(isinstance(output[0]["content"], str), where, output)


def check_messages(where, messages):
    calls = set()
    for message in messages:
        need(message["role"] in ("system", "user", "assistant", "tool"), where, message)
        for call in message.get("tool_calls") or []:
            need(message["role"] == "assistant" and call["type"] == "function", where, call)
            need(isinstance(json.loads(call["function"]["arguments"]), dict), where, call)
            calls.add(call["id"])
        if message["role"] == "tool":
            need(message["tool_call_id"] in calls, where, "a result of no call", message)
        if not message.get("tool_calls"):
            need(isinstance(message.get("content"), str), where, message)


def format_of(manifest):
    """The format, by its columns."""
    names = {f["name"] for f in manifest["schema"]}
    for name, columns in {
        "openai_preference": {"preferred_output"}, "messages": {"messages", "session_id"}, "openai_chat": {"messages"}, "next_edit": {"events"},
        "preference": {"chosen"}, "unpaired_preference": {"completion", "label"}, "reward": {"completion", "score"},
        "supervised": {"completion"}, "signals": {"reward_e4"},
    }.items():
        if columns <= names:
            return name
    raise Different(f"no format has the columns {names}")


def check(folder):
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    name = format_of(manifest)
    check_manifest(folder, manifest)
    if not name.startswith("openai"):
        check_trl(name, check_datasets(folder, manifest))
        check_pyarrow(folder, manifest)
        check_duckdb(folder, manifest)
        check_polars(folder, manifest)
    else:
        check_openai(name, folder, manifest)
    rows = (row for split in manifest["splits"] for row in rows_of(folder, manifest, split["split"]))
    return name, digest(rows, manifest["schema"])


def main(arguments):
    folders = []
    for argument in map(pathlib.Path, arguments):
        folders += [argument] if (argument / "manifest.json").exists() else sorted(p.parent for p in argument.glob("*/manifest.json"))
    if not folders:
        sys.exit("no training set: give folders with a manifest.json")
    failed = False
    same = collections.defaultdict(dict)
    for folder in folders:
        try:
            name, sum = check(folder)
        except Exception as e:  # one bad folder does not hide the others
            failed = True
            print(f"FAIL {folder.name}: {type(e).__name__}: {e}", flush=True)
            continue
        same[folder.parent, folder.name.rsplit("-", 1)[0].removesuffix("-jsonl")][folder.name] = sum
        print(f"ok   {folder.name}: {name}, {sum[:16]}", flush=True)
    for group in same.values():
        if len(set(group.values())) > 1:
            failed = True
            print("FAIL the encodings have different rows:", group)
    sys.exit(failed)


main(sys.argv[1:])
