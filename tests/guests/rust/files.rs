// Files through std::fs in a preopened folder, arguments and environment.
// dir: yes
// args: one 'two three'
// env: TENON_MODE=fast
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

fn main() -> std::io::Result<()> {
    println!("{:?} {:?}", std::env::args().skip(1).collect::<Vec<_>>(), std::env::var("TENON_MODE"));
    fs::create_dir_all("a/b/c")?;
    let mut file = File::create("a/b/lines.txt")?;
    for i in 0..100 {
        writeln!(file, "line {}", i)?;
    }
    drop(file);
    let lines = BufReader::new(File::open("a/b/lines.txt")?).lines().collect::<Result<Vec<_>, _>>()?;
    println!("{} {:?}", lines.len(), lines.last());
    OpenOptions::new().append(true).open("a/b/lines.txt")?.write_all(b"tail")?;
    let mut file = OpenOptions::new().read(true).write(true).open("a/b/lines.txt")?;
    file.seek(SeekFrom::End(-4))?;
    let mut tail = String::new();
    file.read_to_string(&mut tail)?;
    println!("{} {}", tail, file.metadata()?.len());
    file.set_len(6)?;
    println!("{:?}", fs::read("a/b/lines.txt")?);
    fs::rename("a/b/lines.txt", "a/moved.txt")?;
    let mut names: Vec<_> = fs::read_dir("a")?.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    println!("{:?}", names);
    println!("{:?} {}", fs::read("absent").map_err(|e| e.kind()), fs::metadata("a/b")?.is_dir());
    fs::remove_dir_all("a")?;
    println!("{:?}", fs::metadata("a").map(|_| ()).map_err(|e| e.kind()));
    Ok(())
}
