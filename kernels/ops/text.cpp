// Operators on strings: StringNormalizer, StringConcat, StringSplit, RegexFullMatch, TfIdfVectorizer. ASCII case only:
// other letters stay as they are.
#include <re2/re2.h>

#include "kernels/interpreter.h"
#include "kernels/ops/broadcast.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels {
namespace shape {

// One n-gram count for each entry of the pool; the last dimension of the operand is the document.
Result<void> tf_idf(InferContext& c) {
  auto dims = c.dims(0);
  if (dims.empty() || dims.size() > 2) return c.invalid(fmt::format("operand {}", to_string(dims)));
  std::int64_t most = -1;
  for (const auto at : c.node.integers("ngram_indexes")) {
    if (at < 0 || at > (1 << 26)) return c.invalid(fmt::format("ngram_indexes has {}", at));
    most = std::max(most, at);
  }
  dims.back() = most + 1;
  return c.set(0, dims);
}

}  // namespace shape

namespace {

std::string with_case(std::string text, const std::string& action) {
  for (auto& ch : text) {
    if (action == "LOWER" && ch >= 'A' && ch <= 'Z') ch = static_cast<char>(ch + 32);
    if (action == "UPPER" && ch >= 'a' && ch <= 'z') ch = static_cast<char>(ch - 32);
  }
  return text;
}

// [C] or [1, C]; stop words go away, and one empty string stays when nothing else does.
Result<void> normalize(ValueCall& call) {
  const auto& tensor = call.in[0]->tensor;
  const auto& dims = tensor.dims();
  if (tensor.type() != DataType::string || (dims.size() != 1 && !(dims.size() == 2 && dims[0] == 1))) {
    return fail(ErrorCode::runtime_error, "operand {} {}", to_string(tensor.type()), to_string(dims));
  }
  const auto& action = call.node.text("case_change_action");
  const bool sensitive = call.node.integer("is_case_sensitive") != 0;
  const auto stop_words = call.node.texts("stopwords");
  const auto key = [&](const std::string& s) { return sensitive ? s : with_case(s, "LOWER"); };
  std::vector<std::string> kept;
  for (const auto& word : tensor.strings()) {
    const bool stopped = std::any_of(stop_words.begin(), stop_words.end(),
                                     [&](const std::string& s) { return key(s) == key(word); });
    if (!stopped) kept.push_back(with_case(word, action));
  }
  if (kept.empty()) kept.emplace_back();
  Dims out{static_cast<std::int64_t>(kept.size())};
  if (dims.size() == 2) out.insert(0, 1);
  call.out[0] = Value::of(TENON_TRY(Tensor::strings(out, std::move(kept))));
  return {};
}

// X [...] to Y [..., most parts], padded with empty strings, and the count of parts of each.
Result<void> split_strings(ValueCall& call) {
  const auto& tensor = call.in[0]->tensor;
  const auto& delimiter = call.node.text("delimiter");
  const auto limit = call.node.has("maxsplit") ? call.node.integer("maxsplit") : -1;
  std::vector<std::vector<std::string>> parts;
  std::size_t most = 0;
  for (const auto& text : tensor.strings()) {
    auto& list = parts.emplace_back();
    std::size_t at = 0;
    const auto room = [&] { return limit < 0 || static_cast<std::int64_t>(list.size()) < limit; };
    if (delimiter.empty()) {  // runs of spaces
      for (;;) {
        at = text.find_first_not_of(' ', at);
        if (at == std::string::npos) break;
        const auto end = room() ? text.find(' ', at) : std::string::npos;
        list.push_back(text.substr(at, end - at));
        if (end == std::string::npos) break;
        at = end;
      }
    } else if (!text.empty()) {
      for (;;) {
        const auto end = room() ? text.find(delimiter, at) : std::string::npos;
        list.push_back(text.substr(at, end - at));
        if (end == std::string::npos) break;
        at = end + delimiter.size();
      }
    }
    most = std::max(most, list.size());
  }
  auto dims = tensor.dims();
  if (dims.size() >= Dims::kMaxRank) return fail(ErrorCode::unsupported_operation, "rank {}", dims.size());
  std::vector<std::int64_t> counts;
  std::vector<std::string> all;
  for (auto& list : parts) {
    counts.push_back(static_cast<std::int64_t>(list.size()));
    list.resize(most);
    for (auto& part : list) all.push_back(std::move(part));
  }
  if (call.out.size() > 1)
    call.out[1] = Value::of(TENON_TRY(Tensor::of<std::int64_t>(DataType::i64, dims, counts)));
  dims.push_back(static_cast<std::int64_t>(most));
  call.out[0] = Value::of(TENON_TRY(Tensor::strings(dims, std::move(all))));
  return {};
}

struct Pool {
  std::vector<std::int64_t> integers;
  std::vector<std::string> strings;
  std::vector<std::int64_t> starts, indexes;
  std::vector<float> weights;
  std::int64_t shortest = 1, longest = 1, skips = 0;
  std::string mode;
};

// Calls f(pool index) for every n-gram of the pool found in a document of `n` words; equal(word, pool item)
// compares.
template <class Equal, class Found>
void find_ngrams(const Pool& pool, std::int64_t n, std::size_t items, Equal equal, Found found) {
  for (auto length = pool.shortest; length <= pool.longest; ++length) {
    const auto level = static_cast<std::size_t>(length - 1);
    if (level >= pool.starts.size()) break;
    const auto begin = static_cast<std::size_t>(pool.starts[level]);
    const auto end =
        level + 1 < pool.starts.size() ? static_cast<std::size_t>(pool.starts[level + 1]) : items;
    // Words of an n-gram may lie up to `skips` words apart; for single words that means nothing.
    const auto widest = length == 1 ? 0 : pool.skips;
    for (std::int64_t skip = 0; skip <= widest; ++skip) {
      const auto step = skip + 1;
      for (std::int64_t first = 0; first + (length - 1) * step < n; ++first) {
        std::size_t ngram = 0;
        for (auto at = begin; at + static_cast<std::size_t>(length) <= end;
             at += static_cast<std::size_t>(length), ++ngram) {
          bool same = true;
          for (std::int64_t k = 0; same && k < length; ++k)
            same = equal(first + k * step, at + static_cast<std::size_t>(k));
          if (!same) continue;
          std::size_t before = 0;  // n-grams of shorter lengths come first in ngram_indexes
          for (std::size_t l = 0; l < level; ++l) {
            before +=
                (static_cast<std::size_t>(pool.starts[l + 1]) - static_cast<std::size_t>(pool.starts[l])) /
                (l + 1);
          }
          found(before + ngram);
        }
      }
    }
  }
}

KernelResult tf_idf_kernel(const LowerContext& c) {
  const auto& node = c.node;
  Pool pool;
  const auto list = [](auto span) {
    return std::vector<typename decltype(span)::value_type>(span.begin(), span.end());
  };
  pool.integers = list(node.integers("pool_int64s"));
  pool.strings = list(node.texts("pool_strings"));
  pool.starts = list(node.integers("ngram_counts"));
  pool.indexes = list(node.integers("ngram_indexes"));
  pool.weights = list(node.reals("weights"));
  pool.shortest = node.integer("min_gram_length");
  pool.longest = node.integer("max_gram_length");
  pool.skips = node.integer("max_skip_count");
  pool.mode = node.text("mode");
  const bool strings = c.inputs[0].type == DataType::string;
  const auto items = strings ? pool.strings.size() : pool.integers.size();
  std::int64_t last = 0;
  for (const auto start : pool.starts) {
    if (start < last || static_cast<std::uint64_t>(start) > items)
      return fail(ErrorCode::invalid_encoding, "ngram_counts has {}", start);
    last = start;
  }
  if (pool.shortest < 1 || pool.longest < pool.shortest || pool.longest > 64 || pool.skips < 0 ||
      pool.skips > (1 << 20)) {
    return fail(ErrorCode::invalid_encoding, "gram lengths {} to {}, skips {}", pool.shortest, pool.longest,
                pool.skips);
  }
  if (!pool.weights.empty() && pool.weights.size() != pool.indexes.size())
    return fail(ErrorCode::invalid_encoding, "{} weights for {} indexes", pool.weights.size(),
                pool.indexes.size());
  const auto words = c.in_dims(0).back(), columns = c.outputs[0].dims.back();
  const auto documents = c.in_dims(0).size() == 2 ? c.in_dims(0)[0] : 1;
  const auto type = c.inputs[0].type;
  if (!strings && type != DataType::i32 && type != DataType::i64) return no_kernel(c);
  return kernel_of("tenon tf_idf", [=](const KernelCall& call) -> Result<void> {
    for (std::int64_t d = 0; d < documents; ++d) {
      std::vector<double> counts(static_cast<std::size_t>(columns));
      std::vector<double> weights(static_cast<std::size_t>(columns), 1);
      const auto found = [&](std::size_t ngram) {
        if (ngram >= pool.indexes.size()) return;
        const auto column = static_cast<std::size_t>(pool.indexes[ngram]);
        counts[column] += 1;
        if (!pool.weights.empty()) weights[column] = static_cast<double>(pool.weights[ngram]);
      };
      const auto base = d * words;
      if (strings) {
        const In<std::string> in{call.in[0]};
        find_ngrams(
            pool, words, items,
            [&](std::int64_t w, std::size_t p) { return in[base + w] == pool.strings[p]; }, found);
      } else {
        find_ngrams(
            pool, words, items,
            [&](std::int64_t w, std::size_t p) {
              return get_number(type, call.in[0], base + w) == static_cast<double>(pool.integers[p]);
            },
            found);
      }
      for (std::size_t i = 0; i < counts.size(); ++i) {
        const double v = pool.mode == "TF"
                             ? counts[i]
                             : (pool.mode == "IDF" ? (counts[i] > 0 ? 1 : 0) : counts[i]) * weights[i];
        Out<float>{call.out[0]}.set(d * columns + static_cast<std::int64_t>(i), static_cast<float>(v));
      }
    }
    return {};
  });
}

KernelResult concat_kernel(const LowerContext& c) {
  const auto plan = Broadcast::make(c.outputs[0].dims, c.inputs.first(2));
  return kernel_of("tenon string_concat", [=](const KernelCall& call) -> Result<void> {
    const auto sa = plan.strides[0].back(), sb = plan.strides[1].back();
    plan.for_each_row(1, [&](std::int64_t to, const std::int64_t* at, std::int64_t n) {
      const In<std::string> a{call.in[0]}, b{call.in[1]};
      for (std::int64_t i = 0; i < n; ++i)
        Out<std::string>{call.out[0]}.set(to + i, a[at[0] + i * sa] + b[at[1] + i * sb]);
    });
    return {};
  });
}

// The operator's syntax is RE2's, and so is its time: in proportion to the text, whatever the pattern.
KernelResult regex_kernel(const LowerContext& c) {
  RE2::Options options;
  options.set_log_errors(false);
  const auto& pattern = c.node.text("pattern");
  const auto regex = std::make_shared<const RE2>(pattern, options);
  if (!regex->ok()) {
    const auto code =
        regex->error_code() == RE2::ErrorPatternTooLarge ? ErrorCode::too_large : ErrorCode::invalid_encoding;
    return fail(code, "pattern '{}': {}", pattern, regex->error());
  }
  const auto count = product(c.in_dims(0));
  return kernel_of("re2", [=](const KernelCall& call) -> Result<void> {
    for (std::int64_t i = 0; i < count; ++i)
      Out<bool_t>{call.out[0]}.set(i, bool_t(RE2::FullMatch(In<std::string>{call.in[0]}[i], *regex)));
    return {};
  });
}

}  // namespace

KernelResult fast::text(const LowerContext& c) {
  switch (c.node.op) {
    case Op::StringNormalizer: return value_kernel_of("tenon text", normalize);
    case Op::StringSplit: return value_kernel_of("tenon text", split_strings);
    case Op::StringConcat: return concat_kernel(c);
    case Op::RegexFullMatch: return regex_kernel(c);
    default: return tf_idf_kernel(c);
  }
}

}  // namespace tenon::kernels
