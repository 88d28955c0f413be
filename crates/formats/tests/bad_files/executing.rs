//! Pickles that would run something if they were run (TRUST T08).

use crate::Case;
use crate::pytorch::{archived, call, global, int, join, tensor, text, tuple};

/// Pickles that would run something, each refused by what it asks for, where it asks.
pub fn executing() -> Vec<Case> {
    let command = || text("touch /tmp/executed");
    let calls =
        |module: &str, name: &str| archived(&join(&[b"\x80\x02", &call(module, name, &[command()]), b"."]));
    let named = [
        ("os", "system", "data.pkl: GLOBAL: asks for \"os.system\""),
        ("posix", "system", "asks for \"posix.system\""),
        ("nt", "system", "asks for \"nt.system\""),
        ("os", "popen", "asks for \"os.popen\""),
        ("subprocess", "Popen", "asks for \"subprocess.Popen\""),
        ("builtins", "eval", "asks for \"builtins.eval\""),
        ("builtins", "exec", "asks for \"builtins.exec\""),
        ("builtins", "compile", "asks for \"builtins.compile\""),
        ("builtins", "__import__", "asks for \"builtins.__import__\""),
        ("builtins", "getattr", "asks for \"builtins.getattr\""),
        ("builtins", "open", "asks for \"builtins.open\""),
        ("__builtin__", "eval", "asks for \"__builtin__.eval\""),
        ("__builtin__", "execfile", "asks for \"__builtin__.execfile\""),
        ("importlib", "import_module", "asks for \"importlib.import_module\""),
        ("operator", "attrgetter", "asks for \"operator.attrgetter\""),
        ("functools", "partial", "asks for \"functools.partial\""),
        ("pickle", "loads", "asks for \"pickle.loads\""),
        ("runpy", "run_path", "asks for \"runpy.run_path\""),
        ("ctypes", "CDLL", "asks for \"ctypes.CDLL\""),
        ("socket", "create_connection", "asks for \"socket.create_connection\""),
        ("webbrowser", "open", "asks for \"webbrowser.open\""),
        ("torch", "load", "asks for \"torch.load\""),
        ("torch.hub", "load", "asks for \"torch.hub.load\""),
        ("torch.storage", "_load_from_bytes", "asks for \"torch.storage._load_from_bytes\""),
        ("torch._utils", "__builtins__", "asks for \"torch._utils.__builtins__\""),
        ("collections", "OrderedDict.__init__", "asks for \"collections.OrderedDict.__init__\""),
        ("collections ", "OrderedDict", "asks for \"collections .OrderedDict\""),
        ("numpy.core.multiarray", "_reconstruct", "asks for \"numpy.core.multiarray._reconstruct\""),
        ("__main__", "Model", "asks for \"__main__.Model\""),
        ("os\u{1b}[2J", "system", "asks for \"os\\u{1b}[2J.system\""),
    ];
    let mut cases: Vec<Case> =
        named.into_iter().map(|(module, name, expected)| (name, calls(module, name), expected)).collect();
    let run = |parts: &[&[u8]]| archived(&join(&[b"\x80\x04", &join(parts), b"."]));
    let short = |text: &str| join(&[&[0x8c, text.len() as u8], text.as_bytes()]);
    let ordered = call("collections", "OrderedDict", &[]);
    let with_state = |state: &[u8]| run(&[&ordered, state, b"b"]);
    let attribute = |name: &str| join(&[b"}", &text(name), b"Ns"]);
    cases.extend([
        ("a name that is only mentioned", run(&[&global("os", "system"), b"0N"]), "asks for \"os.system\""),
        (
            "a name put together from the memo",
            run(&[
                &short("system"),
                b"\x940",
                &short("os"),
                b"\x940",
                b"h\x01h\x00\x93",
                &tuple(&[command()]),
                b"R",
            ]),
            "data.pkl: STACK_GLOBAL: asks for \"os.system\"",
        ),
        (
            "a path of names",
            run(&[&short("collections"), &short("OrderedDict.x"), b"\x93"]),
            "OrderedDict.x\"",
        ),
        ("a name that is a number", run(&[&short("os"), b"K\x01\x93"]), "\"os\" and 1, expected a module"),
        ("INST", run(&[b"(", &command(), b"ios\nsystem\n"]), "data.pkl: INST: asks for \"os.system\""),
        (
            "INST of a listed name",
            run(&[b"(icollections\nOrderedDict\n"]),
            "INST: asks for \"collections.Ord",
        ),
        ("OBJ", run(&[b"(", &global("collections", "OrderedDict"), b"o"]), "OBJ: asks for this instruction"),
        (
            "NEWOBJ",
            run(&[&global("collections", "OrderedDict"), b")\x81"]),
            "NEWOBJ: asks for this instruction",
        ),
        ("NEWOBJ_EX", run(&[&global("collections", "OrderedDict"), b")}\x92"]), "NEWOBJ_EX: asks for this"),
        ("EXT1", run(&[b"\x82\x01"]), "EXT1: asks for this instruction"),
        ("EXT2", run(&[b"\x83\x01\x00"]), "EXT2: asks for this instruction"),
        ("EXT4", run(&[b"\x84\x01\x00\x00\x00"]), "EXT4: asks for this instruction"),
        ("PERSID", run(&[b"Pos.system\n"]), "PERSID: asks for this instruction"),
        (
            "BUILD with a state",
            with_state(&attribute("__setstate__")),
            "BUILD: asks for the attribute \"__sets",
        ),
        ("BUILD with a class", with_state(&attribute("__class__")), "asks for the attribute \"__class__\""),
        (
            "BUILD with two states",
            with_state(&join(&[b"N", &attribute("x"), b"\x86"])),
            "the state a list of 2",
        ),
        (
            "BUILD of a dict",
            run(&[b"}", &attribute("_metadata"), b"b"]),
            "asks for attributes on a dict of 0",
        ),
        ("BUILD of a tensor", run(&[&tensor(0, &[4], &[1]), b"}b"]), "asks for attributes on a tensor"),
        ("BUILD of a name", run(&[&global("torch", "Size"), b"}b"]), "asks for attributes on torch.Size"),
        ("a call of a text", run(&[&command(), b")R"]), "REDUCE: asks for a call of \"touch /tmp/executed\""),
        (
            "a call of a storage type",
            run(&[&call("torch", "FloatStorage", &[int(9)])]),
            "a call of a storage type",
        ),
        ("a call of a type", run(&[&call("torch", "float32", &[])]), "asks for a call of the type F32"),
        ("a call of a tensor", run(&[&tensor(0, &[4], &[1]), b")R"]), "asks for a call of a tensor"),
        (
            "a parameter of a text",
            run(&[&call(
                "torch._utils",
                "_rebuild_parameter",
                &[command(), b"\x88".to_vec(), b"N".to_vec()],
            )]),
            "a call of a parameter's builder with 3 arguments",
        ),
    ]);
    cases
}
