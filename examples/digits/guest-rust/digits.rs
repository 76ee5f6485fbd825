//! Reads pictures of handwritten digits and says which digit each shows, through wasi-nn.
//!
//!     digits MODEL IMAGE.png...
//!
//! The same program as guest-c/digits.c, with the same output. One file without crates, so that Debian's rustc builds
//! it: the PNG reader below knows 8-bit pictures without interlacing or palette, and no more.

use std::time::Instant;

mod nn {
    //! wasi_ephemeral_nn as in wasi-nn.witx.
    #[repr(C)]
    pub struct Builder {
        pub data: *const u8,
        pub size: u32,
    }

    #[repr(C)]
    pub struct Tensor {
        pub dims: *const u32,
        pub rank: u32,
        pub kind: u8,
        pub data: *const u8,
        pub size: u32,
    }

    pub const F32: u8 = 1;
    pub const ONNX: u32 = 1;
    pub const CPU: u32 = 0;
    pub const NOT_FOUND: i32 = 8;

    #[link(wasm_import_module = "wasi_ephemeral_nn")]
    extern "C" {
        pub fn load(builders: *const Builder, count: u32, encoding: u32, target: u32, graph: *mut u32) -> i32;
        pub fn load_by_name(name: *const u8, length: u32, graph: *mut u32) -> i32;
        pub fn init_execution_context(graph: u32, context: *mut u32) -> i32;
        pub fn set_input(context: u32, index: u32, tensor: *const Tensor) -> i32;
        pub fn compute(context: u32) -> i32;
        pub fn get_output(context: u32, index: u32, buffer: *mut u8, capacity: u32, written: *mut u32) -> i32;
    }

    const NAMES: [&str; 9] = [
        "success", "invalid_argument", "invalid_encoding", "missing_memory", "busy", "runtime_error",
        "unsupported_operation", "too_large", "not_found",
    ];

    pub fn check(call: &str, error: i32) -> Result<(), String> {
        match error {
            0 => Ok(()),
            _ => Err(format!("{}: {}", call, NAMES.get(error as usize).unwrap_or(&"unknown error"))),
        }
    }
}

mod png {
    //! A small PNG reader: chunks, inflate (RFC 1951), filters.
    pub struct Grey {
        pub width: usize,
        pub height: usize,
        pub pixels: Vec<u8>,
    }

    const BAD: &str = "damaged PNG";

    struct Bits<'a> {
        data: &'a [u8],
        at: usize, // in bits
    }

    impl Bits<'_> {
        fn take(&mut self, count: usize) -> Result<usize, &'static str> {
            let mut value = 0;
            for i in 0..count {
                let byte = *self.data.get(self.at / 8).ok_or(BAD)?;
                value |= ((byte >> (self.at % 8) & 1) as usize) << i;
                self.at += 1;
            }
            Ok(value)
        }
    }

    /// Canonical Huffman code: how many codes each length has, and the symbols in order of their codes.
    struct Huffman {
        counts: [usize; 16],
        symbols: Vec<usize>,
    }

    impl Huffman {
        fn new(lengths: &[usize]) -> Huffman {
            let mut counts = [0; 16];
            lengths.iter().for_each(|&l| counts[l] += 1);
            counts[0] = 0;
            let mut symbols: Vec<usize> = (0..lengths.len()).filter(|&s| lengths[s] > 0).collect();
            symbols.sort_by_key(|&s| lengths[s]);
            Huffman { counts, symbols }
        }

        fn decode(&self, bits: &mut Bits) -> Result<usize, &'static str> {
            let (mut code, mut first, mut index) = (0, 0, 0);
            for length in 1..16 {
                code |= bits.take(1)?;
                let count = self.counts[length];
                if code < first + count {
                    return self.symbols.get(index + code - first).copied().ok_or(BAD);
                }
                index += count;
                first = (first + count) << 1;
                code <<= 1;
            }
            Err(BAD)
        }
    }

    fn dynamic_tables(bits: &mut Bits) -> Result<(Huffman, Huffman), &'static str> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let literals = bits.take(5)? + 257;
        let distances = bits.take(5)? + 1;
        let count = bits.take(4)? + 4;
        let mut code_lengths = [0; 19];
        for &at in &ORDER[..count] {
            code_lengths[at] = bits.take(3)?;
        }
        let codes = Huffman::new(&code_lengths);
        let mut lengths: Vec<usize> = Vec::new();
        while lengths.len() < literals + distances {
            let (value, repeat) = match codes.decode(bits)? {
                16 => (*lengths.last().ok_or(BAD)?, 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (length, 1),
            };
            lengths.resize(lengths.len() + repeat, value);
        }
        let distance_lengths = lengths.get(literals..literals + distances).ok_or(BAD)?;
        Ok((Huffman::new(&lengths[..literals]), Huffman::new(distance_lengths)))
    }

    fn fixed_tables() -> (Huffman, Huffman) {
        let lengths: Vec<usize> = (0..288).map(|s| match s { 0..=143 => 8, 144..=255 => 9, 256..=279 => 7, _ => 8 }).collect();
        (Huffman::new(&lengths), Huffman::new(&[5; 30]))
    }

    /// Inflates a zlib stream to exactly `size` bytes.
    fn inflate(data: &[u8], size: usize) -> Result<Vec<u8>, &'static str> {
        let mut bits = Bits { data, at: 16 };
        let mut out: Vec<u8> = Vec::with_capacity(size);
        loop {
            let last = bits.take(1)? == 1;
            let (literals, distances) = match bits.take(2)? {
                0 => {
                    bits.at = (bits.at + 7) / 8 * 8;
                    let length = bits.take(16)?;
                    let start = (bits.at + 16) / 8;
                    out.extend_from_slice(data.get(start..start + length).ok_or(BAD)?);
                    bits.at = (start + length) * 8;
                    if last { break } else { continue }
                }
                1 => fixed_tables(),
                2 => dynamic_tables(&mut bits)?,
                _ => return Err(BAD),
            };
            loop {
                let symbol = literals.decode(&mut bits)?;
                if symbol == 256 {
                    break;
                }
                if symbol < 256 {
                    out.push(symbol as u8);
                } else {
                    let length = match symbol - 257 {
                        s @ 0..=7 => s + 3,
                        s @ 8..=27 => ((4 + s % 4) << (s / 4 - 1)) + 3 + bits.take(s / 4 - 1)?,
                        28 => 258,
                        _ => return Err(BAD),
                    };
                    let distance = match distances.decode(&mut bits)? {
                        s @ 0..=3 => s + 1,
                        s @ 4..=29 => ((2 + s % 2) << (s / 2 - 1)) + 1 + bits.take(s / 2 - 1)?,
                        _ => return Err(BAD),
                    };
                    let from = out.len().checked_sub(distance).ok_or(BAD)?;
                    (from..from + length).for_each(|i| out.push(out[i]));
                }
                if out.len() > size {
                    return Err(BAD);
                }
            }
            if last {
                break;
            }
        }
        if out.len() == size { Ok(out) } else { Err(BAD) }
    }

    fn paeth(left: u8, above: u8, corner: u8) -> u8 {
        let (a, b, c) = (left as i32, above as i32, corner as i32);
        let (pa, pb, pc) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
        if pa <= pb && pa <= pc { left } else if pb <= pc { above } else { corner }
    }

    fn unfilter(rows: &[u8], stride: usize, bytes_per_pixel: usize) -> Result<Vec<u8>, &'static str> {
        let mut out: Vec<u8> = Vec::with_capacity(rows.len());
        for (y, row) in rows.chunks(stride + 1).enumerate() {
            for x in 0..stride {
                let at = out.len();
                let left = if x >= bytes_per_pixel { out[at - bytes_per_pixel] } else { 0 };
                let above = if y > 0 { out[at - stride] } else { 0 };
                let corner = if y > 0 && x >= bytes_per_pixel { out[at - stride - bytes_per_pixel] } else { 0 };
                let guess = match row[0] {
                    0 => 0,
                    1 => left,
                    2 => above,
                    3 => ((left as u16 + above as u16) / 2) as u8,
                    4 => paeth(left, above, corner),
                    _ => return Err(BAD),
                };
                out.push(row[x + 1].wrapping_add(guess));
            }
        }
        Ok(out)
    }

    pub fn read(file: &[u8]) -> Result<Grey, &'static str> {
        let word = |at: usize| file.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize);
        if file.get(..8) != Some(b"\x89PNG\r\n\x1a\n") || file.get(12..16) != Some(b"IHDR") {
            return Err("not a PNG");
        }
        let (width, height) = (word(16).ok_or(BAD)?, word(20).ok_or(BAD)?);
        let format = file.get(24..29).ok_or(BAD)?;
        let bytes_per_pixel = match (format[0], format[1], format[4]) {
            (8, 0, 0) => 1,
            (8, 4, 0) => 2,
            (8, 2, 0) => 3,
            (8, 6, 0) => 4,
            _ => return Err("this kind of PNG is not supported"),
        };
        if width == 0 || height == 0 || width > 4096 || height > 4096 {
            return Err("too large");
        }
        let (mut data, mut at) = (Vec::new(), 8);
        while let Some(length) = word(at) {
            let end = at.checked_add(length).and_then(|e| e.checked_add(12)).ok_or(BAD)?;
            let chunk = file.get(at + 4..end - 4).ok_or(BAD)?;
            if chunk.starts_with(b"IDAT") {
                data.extend_from_slice(&chunk[4..]);
            }
            at = end;
        }
        let stride = width * bytes_per_pixel;
        let raw = unfilter(&inflate(&data, (stride + 1) * height)?, stride, bytes_per_pixel)?;
        let grey = |p: &[u8]| match p.len() {
            1 | 2 => p[0],
            _ => ((p[0] as u32 * 77 + p[1] as u32 * 150 + p[2] as u32 * 29) >> 8) as u8,
        };
        Ok(Grey { width, height, pixels: raw.chunks(bytes_per_pixel).map(grey).collect() })
    }
}

const SIDE: usize = 8;
const CLASSES: usize = 10;

fn ms(from: Instant, to: Instant) -> f64 {
    (to - from).as_nanos() as f64 / 1e6
}

fn read_file(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|_| format!("{}: cannot open", path))
}

fn load_model(model: &str) -> Result<(u32, &'static str), String> {
    let mut graph = 0;
    let error = unsafe { nn::load_by_name(model.as_ptr(), model.len() as u32, &mut graph) };
    if error != nn::NOT_FOUND {
        nn::check("load_by_name", error)?;
        return Ok((graph, "load_by_name"));
    }
    let data = read_file(model)?;
    let builder = nn::Builder { data: data.as_ptr(), size: data.len() as u32 };
    nn::check("load", unsafe { nn::load(&builder, 1, nn::ONNX, nn::CPU, &mut graph) })?;
    Ok((graph, "load"))
}

/// The mean of each of the 8x8 cells of a picture, 0 to 1.
fn reduce(picture: &png::Grey) -> [[f32; SIDE]; SIDE] {
    let mut image = [[0f32; SIDE]; SIDE];
    for (y, row) in image.iter_mut().enumerate() {
        for (x, cell) in row.iter_mut().enumerate() {
            let (x0, x1) = (x * picture.width / SIDE, (x + 1) * picture.width / SIDE);
            let (y0, y1) = (y * picture.height / SIDE, (y + 1) * picture.height / SIDE);
            let line = |v: usize| &picture.pixels[v * picture.width + x0..v * picture.width + x1];
            let sum: u32 = (y0..y1).flat_map(line).map(|&p| p as u32).sum();
            *cell = sum as f32 / ((x1 - x0) * (y1 - y0)) as f32 / 255.0;
        }
    }
    image
}

fn classify(context: u32, path: &str) -> Result<(), String> {
    let t0 = Instant::now();
    let file = read_file(path)?;

    let t1 = Instant::now();
    let picture = png::read(&file).map_err(|e| format!("{}: {}", path, e))?;
    if picture.width < SIDE || picture.height < SIDE {
        return Err(format!("{}: smaller than 8x8 pixels", path));
    }
    let image = reduce(&picture);

    let t2 = Instant::now();
    let dims = [1u32, 1, SIDE as u32, SIDE as u32];
    let input = nn::Tensor {
        dims: dims.as_ptr(),
        rank: 4,
        kind: nn::F32,
        data: image.as_ptr() as *const u8,
        size: std::mem::size_of_val(&image) as u32,
    };
    nn::check("set_input", unsafe { nn::set_input(context, 0, &input) })?;

    let t3 = Instant::now();
    nn::check("compute", unsafe { nn::compute(context) })?;

    let t4 = Instant::now();
    let mut p = [0f32; CLASSES];
    let (size, mut written) = (std::mem::size_of_val(&p) as u32, 0);
    nn::check("get_output", unsafe { nn::get_output(context, 0, p.as_mut_ptr() as *mut u8, size, &mut written) })?;
    if written != size {
        return Err("get_output: the model does not have ten classes".to_string());
    }

    let t5 = Instant::now();
    let best = (1..CLASSES).fold(0, |b, i| if p[i] > p[b] { i } else { b });
    let list = |range: std::ops::Range<usize>| range.map(|i| format!("{} {:.6}", i, p[i])).collect::<Vec<_>>().join("  ");
    let side = [
        path.to_string(),
        format!("digit {} ({:.2} %)", best, p[best] as f64 * 100.0),
        String::new(),
        list(0..5),
        list(5..10),
        String::new(),
        format!("read {:.3} ms, decode {:.3} ms", ms(t0, t1), ms(t1, t2)),
        format!("set_input {:.3} ms, compute {:.3} ms, get_output {:.3} ms", ms(t2, t3), ms(t3, t4), ms(t4, t5)),
    ];
    for (row, text) in image.iter().zip(&side) {
        let blocks: String = row.iter().map(|&v| ["  ", "░░", "▒▒", "▓▓", "██"][(v * 4.0 + 0.5) as usize]).collect();
        println!("{}   {}", blocks, text);
    }
    println!();
    Ok(())
}

fn run(arguments: &[String]) -> Result<(), String> {
    let t0 = Instant::now();
    let (graph, how) = load_model(&arguments[1])?;
    let t1 = Instant::now();
    let mut context = 0;
    nn::check("init_execution_context", unsafe { nn::init_execution_context(graph, &mut context) })?;
    println!("{} {:.3} ms, init_execution_context {:.3} ms\n", how, ms(t0, t1), ms(t1, Instant::now()));
    arguments[2..].iter().try_for_each(|path| classify(context, path))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() < 3 {
        eprintln!("usage: digits MODEL IMAGE.png...");
        std::process::exit(2);
    }
    if let Err(message) = run(&arguments) {
        eprintln!("digits: {}", message);
        std::process::exit(1);
    }
}
