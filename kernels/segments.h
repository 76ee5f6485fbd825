// Parts of a graph whose shapes depend on data, and of the bodies of If, Loop and Scan. Each part is planned when it
// is first reached, for the operands that it gets there; plans are kept by the operands' shapes, and by the contents
// of small operands that decide shapes. Where planning stops at a node, the part is cut there: either the node starts
// the next part, because what it needs is then known, or the interpreter runs it alone. Thread-safe; shared by the
// contexts of a model. Internal to kernels/.
#pragma once
#include <map>

#include "kernels/planner.h"

namespace tenon::kernels {

/// Nodes [first, last) of a graph, as a graph of their own.
class PlannedPart {
 public:
  /// `types`: element types of the inputs.
  static Result<std::shared_ptr<PlannedPart>> make(const Graph& graph, std::size_t first, std::size_t last,
                                                   const std::function<DataType(ValueId)>& type_of);

  /// Values of the surrounding graph.
  const std::vector<ValueId>& inputs() const { return graph_.inputs(); }
  const std::vector<ValueId>& outputs() const { return graph_.outputs(); }
  const std::vector<DataType>& types() const { return types_; }

  struct Planned {
    std::shared_ptr<const Plan> plan;  // null: cut
    std::size_t at = 0;                // the node, counted in the surrounding graph
    bool alone = false;                // it runs alone; otherwise it starts another part
    bool give_up = false;              // every run needs another plan: the interpreter runs all nodes
  };
  Result<Planned> plan_for(std::span<const Operand> operands, const CompileOptions& options,
                           ConstantCache& cache);

 private:
  struct Entry {
    std::vector<Operand> operands;  // with contents where they decide shapes
    std::shared_ptr<const Plan> plan;
  };
  bool fits(const Entry& entry, std::span<const Operand> operands) const;

  Graph graph_;
  std::size_t first_ = 0;
  std::vector<DataType> types_;
  std::mutex mutex_;
  std::vector<bool> by_contents_;         // inputs whose contents decide shapes
  std::optional<std::size_t> wanted_by_;  // the first node that needed contents
  std::list<Entry> plans_;                // most recently used first
  std::uint64_t hits_ = 0, misses_ = 0;
};

/// A graph cut into parts.
class SegmentedGraph {
 public:
  explicit SegmentedGraph(const Graph& graph);

  struct Part {
    std::size_t last = 0;               // one past its nodes
    std::shared_ptr<PlannedPart> plan;  // null: the node runs alone
  };
  /// The part that begins at `first`; `type_of` gives the element types of values that exist by now.
  Result<Part> at(std::size_t first, const std::function<DataType(ValueId)>& type_of);
  void cut_before(std::size_t node);
  void run_alone(std::size_t node);

 private:
  const Graph& graph_;
  std::mutex mutex_;
  std::vector<bool> starts_, alone_;
  std::map<std::pair<std::size_t, std::size_t>, std::shared_ptr<PlannedPart>>
      parts_;  // kept: constants are cached by node
};

/// The segmented graphs of a model: its own and those of bodies.
class SegmentStore {
 public:
  SegmentStore(const CompileOptions& options, ConstantCache& cache) : options_(options), cache_(cache) {}
  SegmentedGraph& of(const Graph& graph);
  const CompileOptions& options() const { return options_; }
  ConstantCache& cache() { return cache_; }

 private:
  const CompileOptions& options_;
  ConstantCache& cache_;
  std::mutex mutex_;
  std::unordered_map<const Graph*, std::unique_ptr<SegmentedGraph>> graphs_;
};

}  // namespace tenon::kernels
