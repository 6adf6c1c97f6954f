/* Tables. Nothing is executed here whatever a pickle says; but a file that would run code where others open it is
 * not passed off as a harmless model, and what an unknown function would have made of its arguments cannot be known. */
#include "core/format/pickle_globals.h"

#include <string.h>

/* Modules and names, with all below them. */
static const char unsafe_modules[] =
    "os posix nt sys subprocess pty socket shutil importlib runpy ctypes _ctypes pickle _pickle marshal code codeop "
    "pdb bdb webbrowser commands popen2 multiprocessing threading _thread asyncio signal http urllib urllib2 httplib "
    "requests ftplib smtplib telnetlib xmlrpc pip setuptools pkgutil zipimport imp inspect types platform profile "
    "cProfile trace timeit tempfile glob linecache cffi dill cloudpickle joblib torch.hub torch.utils.cpp_extension "
    "torch.serialization.load torch.load torch.jit.load numpy.f2py numpy.testing numpy.distutils numpy.load operator "
    "builtins __builtin__ __builtins__ bz2 gzip io _io atexit gc ssl site venv ensurepip doctest unittest lib2to3 "
    "distutils idlelib";

/* Of modules that are unsafe otherwise: types and harmless functions. */
static const char *const safe_names[] = {
    "builtins.set",        "builtins.frozenset", "builtins.bytearray",    "builtins.complex",      "builtins.dict",
    "builtins.list",       "builtins.tuple",     "builtins.int",          "builtins.float",        "builtins.str",
    "builtins.bytes",      "builtins.bool",      "builtins.object",       "builtins.slice",        "builtins.range",
    "builtins.type",       "builtins.len",       "builtins.max",          "builtins.min",          "builtins.sum",
    "builtins.abs",        "builtins.print",     "builtins.NoneType",     "types.SimpleNamespace", "types.NoneType",
    "operator.itemgetter", "builtins.long",      "builtins.xrange",       "builtins.unicode",      "builtins.Ellipsis",
    "builtins.ValueError", "builtins.KeyError",  "builtins.RuntimeError", "builtins.Exception",
};

static const char *const callables[] = {
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "collections.deque",
    "_codecs.encode",
    "copyreg._reconstructor",
    "copy_reg._reconstructor",
    "functools.partial",
    "argparse.Namespace",
    "types.SimpleNamespace",
    "datetime.datetime",
    "datetime.date",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "fractions.Fraction",
    "uuid.UUID",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core.numeric._frombuffer",
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random.__RandomState_ctor",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
    "numpy.ma.core._mareconstruct",
    "array.array",
    "array._array_reconstructor",
    "itertools.count",
    "random.Random",
    "logging.getLogger",
    "re._compile",
    "torch.Size",
    "torch._C.Generator",
    "torch.device",
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.UninitializedParameter",
    "torch.nn.parameter.UninitializedBuffer",
    "torch.serialization._get_layout",
    "torch.storage._load_from_bytes",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_sparse_csr_tensor",
    "torch._utils._rebuild_nested_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._utils._rebuild_wrapper_subclass",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch._tensor._rebuild_from_type_v2",
    "torch._tensor._rebuild_from_type",
    "torch.tensor._rebuild_from_type_v2",
    "torch.distributed.checkpoint.metadata._MEM_FORMAT_ENCODING",
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_tensor_from_id",
    "torch.jit._pickle.restore_type_tag",
};

/* Packages whose classes checkpoints hold as plain values: enumerations, settings. Functions of theirs may do anything;
 * by Python's convention a class begins with a capital. */
static const char packages[] =
    "torchao transformers accelerate omegaconf diffusers lightning pytorch_lightning lightning_fabric peft timm";

/* The rest of Python's library, versions 3.8 to 3.13: what a checkpoint may call of it stands in the lists above. */
static const char python_modules[] =
    "_frozen_importlib _winapi abc aifc argparse array ast asynchat asyncore audioop base64 binascii binhex bisect "
    "calendar cgi cgitb chunk cmath cmd codecs collections colorsys compileall concurrent configparser contextlib "
    "contextvars copy copyreg crypt csv curses dataclasses datetime dbm decimal difflib dis dummy_threading email "
    "encodings enum errno faulthandler fcntl filecmp fileinput fnmatch formatter fractions functools genericpath "
    "getopt getpass gettext graphlib grp hashlib heapq hmac html imaplib imghdr ipaddress itertools json keyword "
    "locale logging lzma macpath mailbox mailcap math mimetypes mmap modulefinder msilib msvcrt netrc nis nntplib "
    "ntpath nturl2path numbers opcode optparse ossaudiodev parser pathlib pickletools pipes plistlib poplib posixpath "
    "pprint pstats pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource "
    "rlcompleter sched secrets select selectors shelve shlex smtpd sndhdr socketserver spwd sqlite3 sre_compile "
    "sre_constants sre_parse stat statistics string stringprep struct sunau symbol symtable sysconfig syslog tabnanny "
    "tarfile termios textwrap time tkinter token tokenize tomllib traceback tracemalloc tty turtle turtledemo typing "
    "unicodedata uu uuid warnings wave weakref winreg winsound wsgiref xdrlib xml zipapp zipfile zlib zoneinfo";

/* Whether it is one of these modules, or lies in one. */
static bool is_of(struct name global, const char *modules)
{
    size_t bytes;

    for (; *modules; modules += bytes + (modules[bytes] == ' ')) {
        bytes = strcspn(modules, " ");
        if (global.bytes >= bytes && memcmp(global.text, modules, bytes) == 0 &&
            (global.bytes == bytes || global.text[bytes] == '.'))
            return true;
    }
    return false;
}

static bool has_name_of_class(struct name global)
{
    uint32_t last = global.bytes;

    while (last > 0 && global.text[last - 1] != '.')
        last--;
    return last < global.bytes && global.text[last] >= 'A' && global.text[last] <= 'Z';
}

bool pickle_global_is_class(struct name global)
{
    return has_name_of_class(global) && !is_of(global, python_modules);
}

/* "__builtin__" and "copy_reg" are what Python 2 called them. */
static bool is_listed(struct name global, const char *const *names, size_t count)
{
    static const char old[] = "__builtin__.", now[] = "builtins.";

    for (size_t i = 0; i < count; i++) {
        if (name_equal(global, name_of(names[i])))
            return true;
        if (global.bytes > sizeof(old) - 1 && memcmp(global.text, old, sizeof(old) - 1) == 0 &&
            strncmp(names[i], now, sizeof(now) - 1) == 0) {
            const struct name rest = {global.text + sizeof(old) - 1, global.bytes - (uint32_t)sizeof(old) + 1};

            if (name_equal(rest, name_of(names[i] + sizeof(now) - 1)))
                return true;
        }
    }
    return false;
}

bool pickle_global_is_unsafe(struct name global)
{
    return is_of(global, unsafe_modules) && !is_listed(global, safe_names, sizeof(safe_names) / sizeof(safe_names[0]));
}

bool pickle_global_is_callable(struct name global)
{
    return is_listed(global, callables, sizeof(callables) / sizeof(callables[0])) ||
           is_listed(global, safe_names, sizeof(safe_names) / sizeof(safe_names[0])) ||
           (has_name_of_class(global) && is_of(global, packages));
}
