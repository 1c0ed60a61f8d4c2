"""Several hls4ml projects in one library: the headers, which take most of a compilation, are read once."""

from __future__ import annotations

import ctypes
import math
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from hls4rl.hls_projects.hls.convert import TOP, read_description
from hls4rl.hls_projects.hls.csim import _FLAGS, ENTRY

_PRELUDE = """#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>
#include <map>
#include <complex>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cmath>
#include <limits>
#include <type_traits>
#include <cassert>
#include <cstring>
static std::string bundle_directory;
#define WEIGHTS_DIR bundle_directory
extern "C" __attribute__((visibility("default"))) void set_directory(const char *path) { bundle_directory = path; }
#include "ap_fixed.h"
#include "ap_int.h"
#include "hls_stream.h"
#include "nnet_utils/nnet_code_gen.h"
#include "nnet_utils/nnet_helpers.h"
#include "nnet_utils/nnet_activation.h"
#include "nnet_utils/nnet_activation_stream.h"
#include "nnet_utils/nnet_dense.h"
#include "nnet_utils/nnet_dense_compressed.h"
#include "nnet_utils/nnet_dense_stream.h"
"""
_ONE = """
#undef POLICY_H_
#undef PARAMETERS_H_
#undef DEFINES_H_
{guards}
#undef CORE_FILE
#undef TOP_FUNCTION
#undef FEATURES
#undef OUTPUTS
#undef LOGIT_EXPONENT
#undef WEIGHTS_DIR
#define CORE_FILE "{firmware}/{top}.cpp"
#define TOP_FUNCTION {top}
#define FEATURES {features}
#define OUTPUTS {outputs}
#define LOGIT_EXPONENT {exponent}
#define hls4rl_infer infer_{index}
namespace n{index} {{
#include "{entry}"
}}
#undef hls4rl_infer
"""

Infer = Callable[[ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64], None]


def compile_bundle(projects: Sequence[Path]) -> list[Infer]:
    """The C simulations of ``projects``, each as a function of observations, logits and rows."""
    source, library = projects[0].parent / "bundle.cpp", projects[0].parent / "bundle.so"
    pieces = [_PRELUDE]
    for index, project in enumerate(projects):
        description = read_description(project)
        pieces.append(_ONE.format(
            guards="\n".join(f"#undef {name.split('.')[0].upper()}_H_" for name in description.weights),
            firmware=project / "firmware", top=TOP, features=description.features, outputs=description.outputs,
            exponent=round(math.log2(description.logit_lsb)), index=index, entry=ENTRY,
        ))
    source.write_text("".join(pieces), encoding="utf-8")
    common = projects[0] / "firmware"
    done = subprocess.run(
        ["g++", *_FLAGS, "-O1", f"-I{common}", f"-I{common / 'ap_types'}", str(source), "-o", str(library)],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr[:4000]
    loaded = ctypes.CDLL(str(library))
    return [_bound(loaded, index, project) for index, project in enumerate(projects)]


def _bound(loaded: ctypes.CDLL, index: int, project: Path) -> Infer:
    weights = ctypes.c_char_p(str(project / "firmware" / "weights").encode())

    def infer(observations: ctypes.c_void_p, logits: ctypes.c_void_p, rows: ctypes.c_int64) -> None:
        loaded.set_directory(weights)  # the common headers know only one directory
        loaded[f"infer_{index}"](weights, observations, logits, rows)

    return infer
