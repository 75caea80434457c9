// A range of addresses in which pieces of files stand next to each other, so that one array can span many files.
//
// Does not depend on: Python, names, formats, what is in the files.
//
// Invariants:
// 1. A range is reserved once (PROT_NONE: no memory) and its addresses never move. They are released when the range
//    and all pieces in it are gone.
// 2. A piece is mapped over reserved addresses only, so MAP_FIXED never replaces a mapping of somebody else.
//    It is never mapped over another piece that is in use.
// 3. A piece begins and ends at a page. fstat has shown that the file is long enough for it, and the store never
//    makes a file shorter, so reading a mapped byte does not end in SIGBUS.
// 4. The pieces of one `MappedPieces` become reserved addresses again when its last owner drops it. A view of the range
//    owns the pieces that it covers.
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace colonnade {

// `size` bytes of a file from `offset` on, at `at` bytes from the range's start.
struct Piece {
  size_t at;
  size_t offset;
  size_t size;
};

class AddressRange {
 public:
  // Throws std::system_error: ENOMEM where there are not so many addresses, or too many mappings.
  explicit AddressRange(size_t size);
  ~AddressRange();
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;

  char* address() const { return address_; }
  size_t size() const { return size_; }

 private:
  friend class MappedPieces;
  // Marks [at, at + size) as taken; false where a part of it is taken already.
  bool take(size_t at, size_t size);
  // Reserves the addresses of a piece again.
  void release(const Piece& piece) noexcept;

  char* address_;
  size_t size_;
  void* guard_;  // see the constructor; nullptr where there is none
  std::mutex mutex_;
  std::map<size_t, size_t> ends_;  // by the start of each piece
};

class MappedPieces {
 public:
  enum class Kind {
    reading,       // shared and read-only: what a producer appends later is seen
    private_copy,  // stores change this mapping alone
  };

  // Maps all pieces, or none. Throws std::invalid_argument for places that are not page-aligned, not inside of the
  // range or the file, or taken; std::system_error where the kernel refuses (ENOMEM: vm.max_map_count).
  MappedPieces(std::shared_ptr<AddressRange> range, int fd, std::span<const Piece> pieces, Kind kind);
  ~MappedPieces();
  MappedPieces(const MappedPieces&) = delete;
  MappedPieces& operator=(const MappedPieces&) = delete;

  const std::shared_ptr<AddressRange>& range() const { return range_; }
  Kind kind() const { return kind_; }

 private:
  MappedPieces(std::shared_ptr<AddressRange> range, Kind kind) : range_(std::move(range)), kind_(kind) {}

  std::shared_ptr<AddressRange> range_;
  std::vector<Piece> pieces_;  // with sizes in whole pages
  Kind kind_;
};

}  // namespace colonnade
