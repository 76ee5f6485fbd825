// Arbitrary-precision arithmetic on Vec<u32>: digits of pi, a factorial, a large power with its remainder.

#[derive(Clone)]
struct Big(Vec<u32>);

impl Big {
    fn new(value: u32) -> Big {
        Big(vec![value])
    }
    fn multiply(&mut self, by: u32) {
        let mut carry = 0u64;
        for limb in &mut self.0 {
            carry += *limb as u64 * by as u64;
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }
    fn divide(&mut self, by: u32) -> u32 {
        let mut rest = 0u64;
        for limb in self.0.iter_mut().rev() {
            rest = rest << 32 | *limb as u64;
            *limb = (rest / by as u64) as u32;
            rest %= by as u64;
        }
        while self.0.len() > 1 && *self.0.last().unwrap() == 0 {
            self.0.pop();
        }
        rest as u32
    }
    fn text(&self) -> String {
        let (mut rest, mut groups) = (self.clone(), Vec::new());
        while rest.0.len() > 1 || rest.0[0] > 0 {
            groups.push(rest.divide(1_000_000_000));
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        groups.iter().rev().for_each(|g| text += &format!("{:09}", g));
        text
    }
}

/// The spigot of Rabinowitz and Wagon.
fn pi(digits: usize) -> String {
    let size = digits * 10 / 3 + 1;
    let mut cells = vec![2u32; size];
    let (mut nines, mut held, mut out) = (0, None::<u32>, String::new());
    for _ in 0..=digits {
        let mut carry = 0u32;
        for i in (0..size).rev() {
            let value = cells[i] * 10 + carry * (i as u32 + 1);
            let divisor = if i == 0 { 10 } else { 2 * i as u32 + 1 };
            cells[i] = value % divisor;
            carry = value / divisor;
        }
        match carry {
            9 => nines += 1,
            _ => {
                if let Some(digit) = held {
                    out += &(digit + carry / 10).to_string();
                }
                out.extend(std::iter::repeat(if carry == 10 { '0' } else { '9' }).take(nines));
                held = Some(carry % 10);
                nines = 0;
            }
        }
    }
    out
}

fn main() {
    let text = pi(400);
    println!("{}...{}", &text[..30], &text[text.len() - 20..]);
    let mut factorial = Big::new(1);
    (1..=200).for_each(|i| factorial.multiply(i));
    println!("{}", factorial.text());
    let mut power = Big::new(7);
    (1..500).for_each(|_| power.multiply(7));
    println!("{} digits, mod 1000003 = {}", power.text().len(), power.divide(1_000_003));
}
