#include "address_range.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "pages.h"

namespace colonnade {
namespace {

[[noreturn]] void fail() { throw std::system_error(errno, std::generic_category(), "mmap"); }

// Reserved addresses cost neither memory nor swap. MAP_FIXED replaces what is there in one step.
void* reserve_at(void* address, size_t size, int flags) {
  return ::mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

// Its own mapping, which merges with no other one.
void* make_guard() {
  void* const guard = ::mmap(nullptr, page_size(), PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return guard == MAP_FAILED ? nullptr : guard;
}

// Whether [at, at + size) is inside of [0, end), without overflow.
bool inside(size_t at, size_t size, size_t end) { return at <= end && size <= end - at; }

}  // namespace

// A process with as many mappings as it may have can replace none either. The guard is one that can go for that.
AddressRange::AddressRange(size_t size) : size_(size), guard_(make_guard()) {
  size_ = round_up(size, huge_page);
  // At a 2 MiB boundary, because huge pages of a file can be mapped only there.
  const size_t room = size_ + huge_page;
  const bool is_possible = size > 0 && size <= SIZE_MAX / 4;
  void* const mapping = is_possible ? reserve_at(nullptr, room, 0) : MAP_FAILED;
  if (mapping == MAP_FAILED) {
    const int error = is_possible ? errno : ENOMEM;
    if (guard_ != nullptr) unmap(guard_, page_size());
    errno = error;
    fail();
  }
  char* const first = static_cast<char*>(mapping);
  address_ = first + (huge_page - reinterpret_cast<uintptr_t>(first) % huge_page) % huge_page;
  unmap(first, address_ - first);
  unmap(address_ + size_, first + room - (address_ + size_));
}

AddressRange::~AddressRange() {
  unmap(address_, size_);
  if (guard_ != nullptr) unmap(guard_, page_size());
}

bool AddressRange::take(size_t at, size_t size) {
  const std::lock_guard lock(mutex_);
  const auto next = ends_.lower_bound(at);
  if (next != ends_.end() && next->first < at + size) return false;
  if (next != ends_.begin() && std::prev(next)->second > at) return false;
  ends_.emplace_hint(next, at, at + size);
  return true;
}

void AddressRange::release(const Piece& piece) noexcept {
  const std::lock_guard lock(mutex_);
  bool is_reserved = reserve_at(address_ + piece.at, piece.size, MAP_FIXED) != MAP_FAILED;
  if (!is_reserved && guard_ != nullptr) {
    unmap(guard_, page_size());
    is_reserved = reserve_at(address_ + piece.at, piece.size, MAP_FIXED) != MAP_FAILED;
    guard_ = make_guard();
  }
  // Otherwise the piece stays mapped and taken: that costs memory, and nothing is read wrong.
  if (is_reserved) ends_.erase(piece.at);
}

MappedPieces::MappedPieces(std::shared_ptr<AddressRange> range, int fd, std::span<const Piece> pieces, Kind kind)
    : MappedPieces(std::move(range), kind) {
  // The object is complete: where this throws, its destructor unmaps the pieces that are mapped by then.
  struct stat file;
  if (::fstat(fd, &file) != 0) fail();
  const size_t file_size = static_cast<size_t>(file.st_size);
  for (const Piece& piece : pieces) {
    if (piece.at % page_size() != 0 || piece.offset % page_size() != 0)
      throw std::invalid_argument("a piece does not start at a page");
    if (piece.size == 0 || !inside(piece.offset, piece.size, file_size))
      throw std::invalid_argument("a piece is not inside of the file");
    if (!inside(piece.at, piece.size, range_->size()))
      throw std::invalid_argument("a piece is not inside of the range");
  }
  const bool is_private = kind == Kind::private_copy;
  const int protection = is_private ? PROT_READ | PROT_WRITE : PROT_READ;
  const int flags = is_private ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
  pieces_.reserve(pieces.size());
  for (const Piece& piece : pieces) {
    const Piece whole{piece.at, piece.offset, round_up(piece.size, page_size())};
    if (!range_->take(whole.at, whole.size)) throw std::invalid_argument("a piece overlaps another one");
    char* const address = range_->address() + whole.at;
    if (::mmap(address, whole.size, protection, flags | MAP_FIXED, fd, static_cast<off_t>(whole.offset)) ==
        MAP_FAILED) {
      const int error = errno;
      range_->release(whole);
      errno = error;
      fail();
    }
    pieces_.push_back(whole);
  }
}

MappedPieces::~MappedPieces() {
  for (const Piece& piece : pieces_) range_->release(piece);
}

}  // namespace colonnade
