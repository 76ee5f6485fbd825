// A Zig guest: the standard library over WASI. Files, hashes, maps, sorting, arguments, environment (Zig 0.16 and later).
const std = @import("std");
const Io = std.Io;

const Entry = struct {
    word: []const u8,
    count: u32,
    fn before(_: void, a: Entry, b: Entry) bool {
        if (a.count != b.count) return a.count > b.count;
        return std.mem.lessThan(u8, a.word, b.word);
    }
};

fn files(io: Io, gpa: std.mem.Allocator, out: *Io.Writer) !void {
    const cwd = Io.Dir.cwd();
    try cwd.createDirPath(io, "tree/a/b");
    const names = [_][]const u8{ "tree/one.txt", "tree/a/two.txt", "tree/a/b/three.txt" };
    for (names, 0..) |name, i| {
        const data = try gpa.alloc(u8, 1000 * i);
        defer gpa.free(data);
        @memset(data, 'x');
        try cwd.writeFile(io, .{ .sub_path = name, .data = data });
    }
    try cwd.rename("tree/one.txt", cwd, "tree/a/b/one.txt", io);
    var folder = try cwd.openDir(io, "tree/a/b", .{ .iterate = true });
    defer folder.close(io);
    var total: usize = 0;
    var iterator = folder.iterate();
    while (try iterator.next(io)) |entry| total += entry.name.len;
    const info = try cwd.statFile(io, "tree/a/two.txt", .{});
    try out.print("names {d}, size {d}\n", .{ total, info.size });
    if (cwd.openFile(io, "tree/nothing", .{})) |_| return error.Opened else |e| try out.print("{s}\n", .{@errorName(e)});
    try cwd.deleteTree(io, "tree");
}

pub fn main(init: std.process.Init) !u8 {
    const io = init.io;
    const gpa = init.gpa;
    const arena = init.arena.allocator();
    var buffer: [1024]u8 = undefined;
    var writer: Io.File.Writer = .init(.stdout(), io, &buffer);
    const out = &writer.interface;

    const args = try init.minimal.args.toSlice(arena);
    for (args[1..]) |arg| try out.print("{s} ", .{arg});
    try out.print("{s}\n", .{init.environ_map.get("GREETING") orelse "none"});

    var text: [4096]u8 = undefined;
    const size = Io.File.stdin().readStreaming(io, &.{&text}) catch 0;
    var counts: std.StringHashMap(u32) = .init(gpa);
    defer counts.deinit();
    var words = std.mem.tokenizeAny(u8, text[0..size], " \n");
    while (words.next()) |word| {
        const found = try counts.getOrPutValue(word, 0);
        found.value_ptr.* += 1;
    }
    var entries: std.ArrayList(Entry) = .empty;
    defer entries.deinit(gpa);
    var all = counts.iterator();
    while (all.next()) |e| try entries.append(gpa, .{ .word = e.key_ptr.*, .count = e.value_ptr.* });
    std.mem.sort(Entry, entries.items, {}, Entry.before);
    for (entries.items) |e| try out.print("{s} {d}\n", .{ e.word, e.count });

    var digest: [32]u8 = undefined;
    std.crypto.hash.sha2.Sha256.hash(text[0..size], &digest, .{});
    try out.print("{x}\n", .{&digest});
    try files(io, gpa, out);

    var state = std.Random.DefaultPrng.init(42);
    var sum: f64 = 0;
    for (0..100000) |_| sum += state.random().float(f64);
    try out.print("{d:.6} {d}\n", .{ sum, std.math.maxInt(u128) / 7 });
    try out.flush();
    return 7;
}
