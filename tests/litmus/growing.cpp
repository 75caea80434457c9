// The ordering of growing tables, checked against the memory model of C++: `make litmus`.
//
// Each test is the smallest program that has one rule of the protocol in it, written for Relacy (Debian: relacy-dev).
// Relacy runs every interleaving of its threads, and for each load the values that the memory model permits, so it also
// shows what happens on processors that reorder stores and loads, such as ARM. One thing it does not explore: a load
// that takes the value of a store which comes later in its own thread (load buffering). The compilers' mapping of these
// orders to ARM (STLR, LDAR; plain STRB and LDRB for relaxed bytes) is sound for that model. `rl::var` is plain memory:
// a race on it is an error.
//
// Each test has a variant with a weaker order or another sequence of stores, and that variant must fail.
//
// Does not depend on: the core itself. src/core/growing.h names the orders that are checked here.

#include <relacy/relacy.hpp>

#include <cstdio>
#include <ostream>

namespace {

using rl::memory_order;
using rl::mo_acquire;
using rl::mo_relaxed;
using rl::mo_release;

// Rule: rows, entry and dictionary first, then one release store of the count. A reader loads the count with acquire,
// and needs no other order. `segments` is stored with release too, for readers that look for new files before they are
// published.
template <memory_order store_count, memory_order load_count>
struct Publish : rl::test_suite<Publish<store_count, load_count>, 2> {
  rl::atomic<unsigned> committed, segments;
  rl::var<unsigned> rows[2], entry, dictionary;

  void before() {
    committed($) = 0;
    segments($) = 1;
    rows[0]($) = rows[1]($) = entry($) = dictionary($) = 0;
  }

  void thread(unsigned index) {
    if (index == 0) {
      dictionary($) = 3;
      rows[0]($) = 1;
      entry($) = 1;
      segments.store(2, mo_release, $);
      rows[1]($) = 2;
      committed.store(2, store_count, $);
    } else if (committed.load(load_count, $) == 2) {
      RL_ASSERT(segments.load(mo_relaxed, $) == 2);
      RL_ASSERT(entry($) == 1);
      RL_ASSERT(rows[0]($) == 1 && rows[1]($) == 2 && dictionary($) == 3);
    }
  }
};

// Rule: the byte that published and new rows share is replaced by one store that keeps the published bits. Row 0 is
// published and its bit is set. A killed producer left the bit of row 1 set; the row that is now written has it clear.
enum class Bits { one_store, clear_then_fill, leftovers_kept };
template <Bits how>
struct SharedByte : rl::test_suite<SharedByte<how>, 2> {
  rl::atomic<unsigned> committed;
  rl::atomic<unsigned char> byte;

  void before() {
    byte($) = 0b11;
    committed($) = 1;
  }

  void thread(unsigned index) {
    if (index == 0) {
      const unsigned char old = byte.load(mo_relaxed, $);
      if (how == Bits::clear_then_fill) {
        byte.store(0, mo_relaxed, $);
      }
      byte.store(how == Bits::leftovers_kept ? old : (old & 0b01), mo_relaxed, $);
      committed.store(2, mo_release, $);
    } else {
      const unsigned count = committed.load(mo_acquire, $);
      const unsigned char seen = byte.load(mo_relaxed, $);
      RL_ASSERT((seen & 1) == 1);
      RL_ASSERT(count < 2 || (seen & 2) == 0);
    }
  }
};

// Rule: message and footer first, then one release store of the footer's length. (Readers of Arrow load the length
// plainly. Every address that they read afterwards is computed from it, and ARM keeps the order of such loads.)
template <memory_order store_length>
struct Footer : rl::test_suite<Footer<store_length>, 2> {
  rl::atomic<unsigned> length;
  rl::var<unsigned> message, footer[2];

  void before() {
    message($) = 0;
    footer[0]($) = 7;
    footer[1]($) = 0;
    length($) = 0;
  }

  void thread(unsigned index) {
    if (index == 0) {
      message($) = 9;
      footer[1]($) = 8;
      length.store(1, store_length, $);
    } else {
      const unsigned which = length.load(mo_acquire, $);
      RL_ASSERT(footer[which]($) == 7 + which);
      RL_ASSERT(which == 0 || message($) == 9);
    }
  }
};

// Rule: `first`, then the name, then the lease test, then the rewrite; a reader opens, then compares the name. The
// kernel's part is behind its own locks.
enum class Reuse { as_it_is, no_name_check, no_lease, name_after_lease };
template <Reuse how>
struct Recycle : rl::test_suite<Recycle<how>, 2> {
  rl::mutex kernel;
  rl::var<unsigned> opens, named, row;

  void before() {
    opens($) = 0;
    named($) = 1;
    row($) = 5;
  }

  void remove_name() {
    kernel.lock($);
    named($) = 0;
    kernel.unlock($);
  }

  void thread(unsigned index) {
    if (index == 0) {
      if (how != Reuse::name_after_lease) {
        remove_name();
      }
      kernel.lock($);
      const bool unused = opens($) == 0 || how == Reuse::no_lease;
      kernel.unlock($);
      if (how == Reuse::name_after_lease) {
        remove_name();
      }
      if (unused) {
        row($) = 6;
      }
      return;
    }
    kernel.lock($);
    const bool found = named($) == 1;  // the look-up; the open counts later
    kernel.unlock($);
    if (!found) {
      return;
    }
    kernel.lock($);
    opens($) = opens($) + 1;
    kernel.unlock($);
    kernel.lock($);
    const bool still = named($) == 1 || how == Reuse::no_name_check;
    kernel.unlock($);
    if (still) {
      RL_ASSERT(row($) == 5);
    }
    kernel.lock($);
    opens($) = opens($) - 1;
    kernel.unlock($);
  }
};

int failures = 0;

template <typename Test>
void check(const char* name, bool must_hold) {
  rl::test_params params;
  std::ostream nowhere(nullptr);
  params.search_type = rl::sched_full;
  params.output_stream = params.progress_stream = &nowhere;
  const bool holds = rl::simulate<Test>(params);
  std::printf("%-44s %-7s %8lu executions%s\n", name, holds ? "holds" : "breaks",
              static_cast<unsigned long>(params.stop_iteration), holds == must_hold ? "" : "   NOT AS IT MUST BE");
  failures += holds != must_hold;
}

}  // namespace

int main() {
  check<Publish<mo_release, mo_acquire>>("publish", true);
  check<Publish<mo_relaxed, mo_acquire>>("publish, relaxed store", false);
  check<Publish<mo_release, mo_relaxed>>("publish, relaxed load", false);
  check<SharedByte<Bits::one_store>>("shared byte", true);
  check<SharedByte<Bits::clear_then_fill>>("shared byte, two stores", false);
  check<SharedByte<Bits::leftovers_kept>>("shared byte, leftovers kept", false);
  check<Footer<mo_release>>("footer", true);
  check<Footer<mo_relaxed>>("footer, relaxed store", false);
  check<Recycle<Reuse::as_it_is>>("reuse", true);
  check<Recycle<Reuse::no_name_check>>("reuse, no name check", false);
  check<Recycle<Reuse::no_lease>>("reuse, no lease", false);
  check<Recycle<Reuse::name_after_lease>>("reuse, name removed after the lease test", false);
  return failures == 0 ? 0 : 1;
}
